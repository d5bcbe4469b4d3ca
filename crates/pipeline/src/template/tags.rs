//! What the tags of a template may look like, decided token by token before anything is parsed.
//!
//! The template engine's parser and compiler call themselves for what stands within something
//! else, and know no bound for chains of operators: a tag of a hundred thousand minus signs would
//! overflow the stack, which ends the process. That bound is here, together with the bounds on how
//! much there is in all tags, and with the statements that a template may use at all.

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::Refusal;
use crate::suggest;

/// Names, operators, brackets and values in all tags of a file.
pub(super) const MAX_TOKENS: usize = 50_000;
/// Operators and brackets that stand within each other in one tag.
pub(super) const MAX_DEPTH: usize = 200;
/// Statements within each other; every `elif` is one within the one before it.
pub(super) const MAX_BLOCKS: usize = 50;

const STATEMENTS: [&str; 9] = [
    "elif", "else", "endfor", "endif", "endwith", "for", "if", "set", "with",
];

/// Checks all tags of `text`. A text that cannot be read to its end is checked as far as it can.
pub(super) fn check(text: &str) -> Result<(), Refusal> {
    let mut tags = Tags::default();
    for item in tokenize(text, false, SyntaxConfig::default()) {
        let Ok((token, span)) = item else { break };
        tags.token(&token, span)?;
    }
    tags.end_tag()
}

#[derive(Default)]
struct Tags {
    tokens: usize,
    text_bytes: usize,
    blocks: Vec<usize>,
    tag: Option<Tag>,
}

impl Tags {
    fn token(&mut self, token: &Token<'_>, span: Span) -> Result<(), Refusal> {
        match token {
            Token::TemplateData(_) => return Ok(()),
            Token::VariableStart | Token::BlockStart => {
                let statement = matches!(token, Token::BlockStart);
                self.tag = Some(Tag::new(span.start_offset as usize, statement));
                return Ok(());
            }
            Token::VariableEnd | Token::BlockEnd => return self.end_tag(),
            _ => {}
        }
        let Some(tag) = &mut self.tag else {
            return Ok(());
        };
        self.tokens += 1;
        self.text_bytes += match token {
            Token::Str(text) => text.len(),
            Token::String(text) => text.len(),
            _ => 0,
        };
        if self.tokens > MAX_TOKENS {
            let message = format!(
                "there is more in the tags than {MAX_TOKENS} names, operators and values, write the SQL itself"
            );
            return Err(Refusal::new(tag.start, message));
        }
        if self.text_bytes > super::MAX_TEXT_BYTES {
            let message = format!(
                "the texts in the tags are longer than {} bytes together, write them outside",
                super::MAX_TEXT_BYTES
            );
            return Err(Refusal::new(tag.start, message));
        }
        tag.token(token)
    }

    fn end_tag(&mut self) -> Result<(), Refusal> {
        let Some(mut tag) = self.tag.take() else {
            return Ok(());
        };
        if tag.depth() > MAX_DEPTH {
            let message = format!(
                "more than {MAX_DEPTH} operators and brackets stand within each other, split the tag"
            );
            return Err(Refusal::new(tag.start, message));
        }
        match tag.keyword {
            Keyword::Open => self.blocks.push(1),
            Keyword::Continue => self.blocks.last_mut().into_iter().for_each(|n| *n += 1),
            Keyword::Close => drop(self.blocks.pop()),
            Keyword::Set if !tag.assigns => return Err(Refusal::new(tag.start, BLOCK_SET)),
            Keyword::Set | Keyword::Other => {}
        }
        if self.blocks.iter().sum::<usize>() > MAX_BLOCKS {
            let message =
                format!("more than {MAX_BLOCKS} statements stand within each other, `elif` counts");
            return Err(Refusal::new(tag.start, message));
        }
        Ok(())
    }
}

enum Keyword {
    Open,
    Continue,
    Close,
    Set,
    Other,
}

struct Tag {
    start: usize,
    expects_keyword: bool,
    keyword: Keyword,
    assigns: bool,
    levels: Vec<Level>,
}

impl Tag {
    fn new(start: usize, statement: bool) -> Self {
        Self {
            start,
            expects_keyword: statement,
            keyword: Keyword::Other,
            assigns: false,
            levels: vec![Level::default()],
        }
    }

    fn token(&mut self, token: &Token<'_>) -> Result<(), Refusal> {
        if std::mem::take(&mut self.expects_keyword) {
            if let Token::Ident(word) = token {
                self.keyword =
                    keyword(word).map_err(|message| Refusal::new(self.start, message))?;
            }
            return Ok(());
        }
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.operator();
                self.levels.push(Level::default());
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => self.close(),
            Token::Comma | Token::Colon => {
                self.levels.last_mut().into_iter().for_each(Level::end_part);
            }
            Token::Assign => self.assigns |= self.levels.len() == 1,
            Token::Ident("and" | "else" | "if" | "in" | "is" | "not" | "or")
            | Token::Div
            | Token::Dot
            | Token::Eq
            | Token::FloorDiv
            | Token::Gt
            | Token::Gte
            | Token::Lt
            | Token::Lte
            | Token::Minus
            | Token::Mod
            | Token::Mul
            | Token::Ne
            | Token::Pipe
            | Token::Plus
            | Token::Pow
            | Token::Tilde => self.operator(),
            _ => {}
        }
        Ok(())
    }

    fn operator(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.operators += 1;
        }
    }

    fn close(&mut self) {
        if self.levels.len() > 1
            && let Some(closed) = self.levels.pop()
            && let Some(level) = self.levels.last_mut()
        {
            level.within = level.within.max(closed.depth());
        }
    }

    /// Of the whole tag, with brackets that are still open taken as closed here.
    fn depth(&mut self) -> usize {
        while self.levels.len() > 1 {
            self.close();
        }
        self.levels.first().map_or(0, Level::depth)
    }
}

/// What stands between a bracket and its end: parts, with a comma between them.
#[derive(Default)]
struct Level {
    operators: usize,
    within: usize,
    deepest_part: usize,
}

impl Level {
    /// An operator may have everything before it in its part as its operand.
    fn depth(&self) -> usize {
        self.deepest_part.max(self.operators + self.within)
    }

    fn end_part(&mut self) {
        *self = Self {
            deepest_part: self.depth(),
            ..Self::default()
        };
    }
}

const BLOCK_SET: &str = "`{% set %}` needs a value, write `{% set name = value %}`";

fn keyword(word: &str) -> Result<Keyword, String> {
    let hint = match word {
        "for" | "if" | "with" => return Ok(Keyword::Open),
        "elif" => return Ok(Keyword::Continue),
        "endfor" | "endif" | "endwith" => return Ok(Keyword::Close),
        "set" => return Ok(Keyword::Set),
        "else" => return Ok(Keyword::Other),
        "endset" => return Err(BLOCK_SET.to_owned()),
        "call" | "endcall" | "endmacro" | "macro" => {
            "a template cannot define macros, write the SQL where it is needed or loop over a list"
        }
        "block" | "endblock" | "extends" | "from" | "import" | "include" => {
            "a template cannot include another one, read tables with `{{ ref('layer.table') }}`"
        }
        "endfilter" | "filter" => "filters stand within an expression, as in `{{ name | upper }}`",
        other => {
            let shown: String = other.chars().take(80).collect();
            let hint = suggest::hint(&shown, STATEMENTS);
            return Err(format!("unknown statement `{shown}`{hint}"));
        }
    };
    Err(format!("`{{% {word} %}}` is not possible: {hint}"))
}
