//! Tables in terminals of several widths.

use expect_test::expect;
use rat_cli::output::{Align, Grid};

fn grid() -> Grid {
    let mut grid = Grid::new([
        ("table", Align::Left),
        ("rows", Align::Right),
        ("size", Align::Right),
        ("description", Align::Left),
    ]);
    grid.push([
        "tpch.bronze.lineitem",
        "600,572",
        "16.3 MiB",
        "Line items, one row each.",
    ]);
    grid.push([
        "tpch.gold.q5_local_supplier_volume",
        "5",
        "1.1 KiB",
        "TPC-H Q5: revenue through local suppliers, per nation of Asia, in 1994.",
    ]);
    grid
}

#[test]
fn a_wide_terminal_shows_everything_in_one_line_each() {
    expect![[r#"
         table                              │    rows │     size │ description
        ────────────────────────────────────┼─────────┼──────────┼─────────────────────────────────────────────────────────────────────────
         tpch.bronze.lineitem               │ 600,572 │ 16.3 MiB │ Line items, one row each.
         tpch.gold.q5_local_supplier_volume │       5 │  1.1 KiB │ TPC-H Q5: revenue through local suppliers, per nation of Asia, in 1994."#]].assert_eq(&grid().render(Some(200)));
}

#[test]
fn a_common_terminal_wraps_the_text() {
    expect![[r#"
         table                              │    rows │     size │ description
        ────────────────────────────────────┼─────────┼──────────┼──────────────────────
         tpch.bronze.lineitem               │ 600,572 │ 16.3 MiB │ Line items, one row
                                            │         │          │ each.
         tpch.gold.q5_local_supplier_volume │       5 │  1.1 KiB │ TPC-H Q5: revenue
                                            │         │          │ through local
                                            │         │          │ suppliers, per
                                            │         │          │ nation of Asia, in
                                            │         │          │ 1994."#]]
    .assert_eq(&grid().render(Some(80)));
}

#[test]
fn a_narrow_terminal_still_shows_all() {
    expect![[r#"
        ── row 1 ──
        table        tpch.bronze.lineitem
        rows         600,572
        size         16.3 MiB
        description  Line items, one row each.
        ── row 2 ──
        table        tpch.gold.q5_local_supplier_volume
        rows         5
        size         1.1 KiB
        description  TPC-H Q5: revenue through local suppliers, per nation of Asia, in 1994."#]]
    .assert_eq(&grid().render(Some(40)));
}

#[test]
fn a_table_that_is_too_wide_to_read_becomes_blocks() {
    let columns: Vec<String> = (1..=12).map(|n| format!("column_{n}")).collect();
    let mut grid = Grid::new(columns.iter().map(|name| (name.as_str(), Align::Left)));
    grid.push((1..=12).map(|n| format!("value {n}")));
    expect![[r#"
        ── row 1 ──
        column_1   value 1
        column_2   value 2
        column_3   value 3
        column_4   value 4
        column_5   value 5
        column_6   value 6
        column_7   value 7
        column_8   value 8
        column_9   value 9
        column_10  value 10
        column_11  value 11
        column_12  value 12"#]]
    .assert_eq(&grid.render(Some(40)));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in 71..=210 {
        for line in grid().render(Some(width)).lines() {
            assert!(
                line.chars().count() <= usize::from(width),
                "{width}: {line:?}"
            );
        }
    }
}

#[test]
fn without_a_terminal_nothing_is_wrapped() {
    assert_eq!(grid().render(None).lines().count(), 4);
}

/// What is copied from a terminal has to be whole.
#[test]
fn names_and_ids_are_never_broken() {
    let runs = || {
        let mut grid = Grid::new([
            ("run", Align::Left),
            ("pipeline", Align::Left),
            ("created", Align::Left),
            ("rows", Align::Right),
            ("error", Align::Left),
        ]);
        grid.push([
            "01a1f8c2-d254-709a-8b74-8f7be96acf3c",
            "shop.bronze.orders",
            "12 s ago",
            "1,234,567",
            "",
        ]);
        grid.push([
            "01a1f8c2-bd94-7b8c-b22a-8d63c71a2a3f",
            "shop.silver.daily",
            "3 d ago",
            "",
            "Cast error: Cannot cast string 'x0' to value of Int32 type",
        ]);
        grid
    };
    for width in 20..=200 {
        let mut grid = runs();
        let left_out = grid.spare(Some(width), &["rows", "created", "error"]);
        let shown = grid.render(Some(width));
        for word in ["01a1f8c2-bd94-7b8c-b22a-8d63c71a2a3f", "shop.bronze.orders"] {
            assert!(shown.contains(word), "{width}:\n{shown}");
        }
        let is_expected = match width {
            ..59 => left_out == ["rows", "created", "error"] && shown.contains("── row 1"),
            94.. => left_out.is_empty(),
            _ => !shown.contains("── row 1"),
        };
        assert!(is_expected, "{width}: {left_out:?}\n{shown}");
    }
    let mut grid = runs();
    assert_eq!(
        grid.spare(Some(80), &["rows", "created", "error"]),
        ["rows", "created"]
    );
    expect![[r#"
         run                                  │ pipeline           │ error
        ──────────────────────────────────────┼────────────────────┼────────────────────
         01a1f8c2-d254-709a-8b74-8f7be96acf3c │ shop.bronze.orders │
         01a1f8c2-bd94-7b8c-b22a-8d63c71a2a3f │ shop.silver.daily  │ Cast error: Cannot
                                              │                    │ cast string 'x0'
                                              │                    │ to value of Int32
                                              │                    │ type"#]]
    .assert_eq(&grid.render(Some(80)));
    assert_eq!(runs().spare(None, &["rows"]), Vec::<&str>::new());
}
