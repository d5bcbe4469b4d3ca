//! Refuses templates whose values could grow without bound.
//!
//! The template engine bounds steps and depth but not memory. It runs operators itself, where
//! nothing can be measured, so what makes a value larger (`~`, `+` of texts and lists) is possible
//! only in `{{ … }}`, whose result is written and forgotten, and with few names; `*` is for
//! numbers only. What a name stands for is thus never larger than what the tags say or one filter
//! makes. A list that is kept holds no names, or repeating `{% set a = [a, a] %}` would nest it
//! ever deeper. Calls of methods are refused too: `loop.changed(loop)` makes a cycle that is
//! never freed.

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, Stmt, UnaryOpKind};

use super::Refusal;
use super::language::{ABSENT, FILTERS, FUNCTIONS, GROWING, TESTS, TEXTS};
use crate::suggest;

/// Names, calls and filters in an expression that puts texts or lists together.
pub(super) const MAX_JOINED: usize = 16;
/// Calls in a list that is kept.
pub(super) const MAX_CALLS_IN_LIST: usize = 256;
/// Slices in a template: each may copy a text.
pub(super) const MAX_SLICES: usize = 64;

/// Checks a parsed template.
pub(super) fn check(template: &Stmt<'_>) -> Result<(), Refusal> {
    Check::default().statement(template)
}

#[derive(Default)]
struct Check {
    slices: usize,
}

/// What becomes of an expression's value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is written.
    Output,
    /// It is a condition.
    Condition,
    /// It gets a name.
    Kept,
}

/// What is known of the expression that is walked through.
struct Walk {
    purpose: Use,
    in_list: bool,
    names: usize,
    calls_in_list: usize,
    joins: bool,
}

type Checked = Result<(), Refusal>;

fn refuse<T>(expr: &Expr<'_>, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(expr.span().start_offset as usize, message))
}

impl Check {
    fn statements(&mut self, statements: &[Stmt<'_>]) -> Checked {
        statements.iter().try_for_each(|stmt| self.statement(stmt))
    }

    fn statement(&mut self, stmt: &Stmt<'_>) -> Checked {
        match stmt {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr, Use::Output),
            Stmt::IfCond(branch) => {
                self.expression(&branch.expr, Use::Condition)?;
                self.statements(&branch.true_body)?;
                self.statements(&branch.false_body)
            }
            Stmt::ForLoop(each) => {
                if each.recursive {
                    return refuse(&each.target, "a loop cannot be `recursive`");
                }
                target(&each.target)?;
                match &each.iter {
                    // Not the list gets a name, its items do.
                    Expr::List(list) => self.all(&list.items, Use::Kept)?,
                    Expr::Tuple(tuple) => self.all(&tuple.items, Use::Kept)?,
                    other => self.expression(other, Use::Kept)?,
                }
                if let Some(filter) = &each.filter_expr {
                    self.expression(filter, Use::Condition)?;
                }
                self.statements(&each.body)?;
                self.statements(&each.else_body)
            }
            Stmt::WithBlock(with) => {
                for (name, value) in &with.assignments {
                    target(name)?;
                    self.expression(value, Use::Kept)?;
                }
                self.statements(&with.body)
            }
            Stmt::Set(set) => {
                target(&set.target)?;
                self.expression(&set.expr, Use::Kept)
            }
            _ => Err(Refusal::new(0, "there is a statement that is not possible")),
        }
    }

    fn all(&mut self, items: &[Expr<'_>], purpose: Use) -> Checked {
        items
            .iter()
            .try_for_each(|item| self.expression(item, purpose))
    }

    fn expression(&mut self, expr: &Expr<'_>, purpose: Use) -> Checked {
        let mut walk = Walk {
            purpose,
            in_list: false,
            names: 0,
            calls_in_list: 0,
            joins: false,
        };
        self.walk(expr, &mut walk)?;
        if walk.joins && walk.names > MAX_JOINED {
            let message = format!(
                "an expression with `~`, `+` or `in` has at most {MAX_JOINED} names, calls and filters, use several {{{{ … }}}}"
            );
            return refuse(expr, message);
        }
        if walk.calls_in_list > MAX_CALLS_IN_LIST {
            let message = format!("a list has at most {MAX_CALLS_IN_LIST} calls");
            return refuse(expr, message);
        }
        Ok(())
    }

    fn walk(&mut self, expr: &Expr<'_>, walk: &mut Walk) -> Checked {
        match expr {
            Expr::Const(_) => Ok(()),
            Expr::Var(var) => {
                walk.names += 1;
                name_in_list(expr, var.id, walk)
            }
            Expr::Slice(slice) => {
                self.slices += 1;
                if self.slices > MAX_SLICES {
                    return refuse(expr, format!("a template has at most {MAX_SLICES} slices"));
                }
                if let Some(step) = &slice.step {
                    return refuse(step, "a slice cannot have a step");
                }
                self.walk(&slice.expr, walk)?;
                let ends = slice.start.iter().chain(&slice.stop);
                ends.into_iter().try_for_each(|end| self.walk(end, walk))
            }
            Expr::UnaryOp(operation) => self.walk(&operation.expr, walk),
            Expr::BinOp(operation) => {
                operator(expr, operation.op, &operation.left, &operation.right, walk)?;
                self.walk(&operation.left, walk)?;
                self.walk(&operation.right, walk)
            }
            Expr::Compare(compare) => {
                self.walk(&compare.expr, walk)?;
                compare.ops.iter().try_for_each(|next| {
                    walk.joins |= matches!(next.op, CompareOpKind::In | CompareOpKind::NotIn);
                    self.walk(&next.expr, walk)
                })
            }
            Expr::IfExpr(either) => {
                self.walk(&either.test_expr, walk)?;
                self.walk(&either.true_expr, walk)?;
                either
                    .false_expr
                    .iter()
                    .try_for_each(|other| self.walk(other, walk))
            }
            Expr::GetAttr(attribute) => self.walk(&attribute.expr, walk),
            Expr::GetItem(item) => {
                self.walk(&item.expr, walk)?;
                self.walk(&item.subscript_expr, walk)
            }
            Expr::Filter(filter) => {
                walk.names += 1;
                if ABSENT.contains(&filter.name) {
                    let message =
                        format!("the filter `{}` is not possible, use a loop", filter.name);
                    return refuse(expr, message);
                }
                known(expr, "filter", filter.name, FILTERS.keys().copied())?;
                if walk.purpose != Use::Output && GROWING.contains(&filter.name) {
                    let name = filter.name;
                    let message = format!(
                        "`{name}` is not possible within {{% … %}}, write `{{{{ … | {name} }}}}` where its result is needed"
                    );
                    return refuse(expr, message);
                }
                filter
                    .expr
                    .iter()
                    .try_for_each(|value| self.walk(value, walk))?;
                self.arguments(expr, &filter.args, walk)
            }
            Expr::Test(test) => {
                known(expr, "test", test.name, TESTS.keys().copied())?;
                self.walk(&test.expr, walk)?;
                self.arguments(expr, &test.args, walk)
            }
            Expr::Call(call) => {
                walk.names += 1;
                let Expr::Var(name) = &call.expr else {
                    let message = "only functions can be called, such as `ref('layer.table')`";
                    return refuse(expr, message);
                };
                known(expr, "function", name.id, FUNCTIONS)?;
                if walk.in_list && walk.purpose == Use::Kept {
                    walk.calls_in_list += 1;
                    if name.id == "range" {
                        return refuse(expr, "a list cannot hold a `range`, loop over it");
                    }
                }
                self.arguments(expr, &call.args, walk)
            }
            Expr::List(list) => self.list(&list.items, walk),
            Expr::Tuple(tuple) => self.list(&tuple.items, walk),
            Expr::Map(map) => {
                self.list(&map.keys, walk)?;
                self.list(&map.values, walk)
            }
        }
    }

    fn list(&mut self, items: &[Expr<'_>], walk: &mut Walk) -> Checked {
        let outer = std::mem::replace(&mut walk.in_list, true);
        items.iter().try_for_each(|item| self.walk(item, walk))?;
        walk.in_list = outer;
        Ok(())
    }

    fn arguments(&mut self, whole: &Expr<'_>, args: &[CallArg<'_>], walk: &mut Walk) -> Checked {
        args.iter().try_for_each(|arg| match arg {
            CallArg::Pos(value) => self.walk(value, walk),
            CallArg::Kwarg("attribute", value) => {
                refuse(value, "`attribute` is not possible, use a loop")
            }
            CallArg::Kwarg(_, value) => self.walk(value, walk),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => refuse(
                whole,
                "arguments are written one by one, not with `*` or `**`",
            ),
        })
    }
}

/// What stands left of `=` or `in`.
fn target(expr: &Expr<'_>) -> Checked {
    match expr {
        Expr::Var(var) if TEXTS.contains(&var.id) || FUNCTIONS.contains(&var.id) => {
            let message = format!("`{}` means something already, use another name", var.id);
            refuse(expr, message)
        }
        Expr::Var(_) => Ok(()),
        Expr::List(list) => list.items.iter().try_for_each(target),
        other => refuse(other, "only a name can be set"),
    }
}

fn name_in_list(expr: &Expr<'_>, name: &str, walk: &mut Walk) -> Checked {
    if !walk.in_list || walk.purpose != Use::Kept {
        return Ok(());
    }
    if TEXTS.contains(&name) {
        walk.calls_in_list += 1;
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let message = format!("a list that gets a name cannot hold other names such as `{shown}`");
    refuse(expr, message)
}

fn operator(
    whole: &Expr<'_>,
    operator: BinOpKind,
    left: &Expr<'_>,
    right: &Expr<'_>,
    walk: &mut Walk,
) -> Checked {
    let symbol = match operator {
        BinOpKind::Mul if is_number(left) && is_number(right) => return Ok(()),
        BinOpKind::Mul => {
            let message =
                "`*` is for numbers, write `(value | int) * 2`; to repeat a text, use a loop";
            return refuse(whole, message);
        }
        // A number plus anything else than a number is an error.
        BinOpKind::Add if is_number(left) || is_number(right) => return Ok(()),
        BinOpKind::Add => "+",
        BinOpKind::Concat => "~",
        BinOpKind::In => {
            walk.joins = true;
            return Ok(());
        }
        _ => return Ok(()),
    };
    walk.joins = true;
    if walk.purpose == Use::Output {
        return Ok(());
    }
    let message = match symbol {
        "+" => {
            "`+` is possible within {% … %} only with numbers, as in `loop.index + 1` or `(value | int) + other`"
        }
        _ => "`~` is not possible within {% … %}, put texts together within {{ … }}",
    };
    refuse(whole, message)
}

/// Whether the value is a number, whatever the names in it stand for.
fn is_number(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Const(constant) => constant.value.is_number(),
        Expr::UnaryOp(operation) => matches!(operation.op, UnaryOpKind::Neg),
        Expr::BinOp(operation) => match operation.op {
            BinOpKind::Sub
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Pow => true,
            BinOpKind::Add => is_number(&operation.left) || is_number(&operation.right),
            BinOpKind::Mul => is_number(&operation.left) && is_number(&operation.right),
            _ => false,
        },
        Expr::Filter(filter) => {
            let names = ["abs", "count", "float", "int", "length", "round"];
            names.contains(&filter.name) && filter.args.is_empty()
        }
        Expr::GetAttr(attribute) => {
            let names = ["index", "index0", "length", "revindex", "revindex0"];
            matches!(&attribute.expr, Expr::Var(var) if var.id == "loop")
                && names.contains(&attribute.name)
        }
        _ => false,
    }
}

fn known<'a>(
    expr: &Expr<'_>,
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Checked {
    if known.clone().into_iter().any(|one| one == name) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let hint = suggest::hint(&shown, known);
    refuse(expr, format!("unknown {what} `{shown}`{hint}"))
}
