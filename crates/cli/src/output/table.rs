//! Tables that fit the terminal.
//!
//! Columns share the width, long cells wrap, numbers stand right. Where a table has so many
//! columns that nobody could read it in that width, each row is shown as a block of
//! `name: value` lines instead. Without a terminal nothing is wrapped or cut.

use comfy_table::{
    Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle,
};

use super::printable::printable;

/// Narrowest column, separators included, in which text can still be read.
const READABLE: usize = 12;

const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction('│'))
    .header_separator(LineStyle::none().fill('─').junction('┼'))
    .content_lines(ContentLineStyle::none().junction('│'));

/// Side on which a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// For text.
    Left,
    /// For numbers.
    Right,
}

/// Rows under named columns, ready to be shown in any width.
#[derive(Debug, Clone, Default)]
pub struct Grid {
    header: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table with these columns and no row.
    pub fn new<N: Into<String>>(header: impl IntoIterator<Item = (N, Align)>) -> Self {
        let header = header
            .into_iter()
            .map(|(name, align)| (printable(name.into()), align))
            .collect();
        Self {
            header,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push<C: Into<String>>(&mut self, row: impl IntoIterator<Item = C>) {
        self.rows
            .push(row.into_iter().map(|cell| printable(cell.into())).collect());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table in at most `width` columns; without a width, as wide as it gets.
    pub fn render(&self, width: Option<u16>) -> String {
        match width {
            Some(width) if self.is_crowded(usize::from(width)) => self.blocks(),
            _ => self.table(width),
        }
    }

    fn is_crowded(&self, width: usize) -> bool {
        let wanted: usize = (0..self.header.len())
            .map(|index| self.natural(index).min(READABLE))
            .sum();
        wanted > width
    }

    /// Width of a column that nothing squeezes, with its padding and separator.
    fn natural(&self, index: usize) -> usize {
        let cells = self
            .rows
            .iter()
            .filter_map(|row| row.get(index))
            .map(|cell| cell.chars().count());
        let header = self.header[index].0.chars().count();
        cells.max().unwrap_or(0).max(header) + 3
    }

    fn table(&self, width: Option<u16>) -> String {
        let mut table = Table::new();
        table.load_style(STYLE).force_no_tty();
        match width {
            Some(width) => table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        table.set_header(
            self.header
                .iter()
                .map(|(name, align)| aligned(name, *align)),
        );
        for row in &self.rows {
            let cells = row.iter().zip(&self.header);
            table.add_row(cells.map(|(cell, (_, align))| aligned(cell, *align)));
        }
        table.trim_fmt()
    }

    fn blocks(&self) -> String {
        let names = self.header.iter().map(|(name, _)| name.chars().count());
        let longest = names.max().unwrap_or(0);
        let mut blocks = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut block = format!("── row {} ──", number + 1);
            for ((name, _), cell) in self.header.iter().zip(row) {
                let padding = " ".repeat(longest - name.chars().count());
                block.push_str(&format!("\n{name}{padding}  {cell}"));
            }
            blocks.push(block);
        }
        blocks.join("\n")
    }
}

fn aligned(text: &str, align: Align) -> Cell {
    Cell::new(text).set_alignment(match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let mut grid = Grid::new([("a", Align::Left)]);
        grid.push(["\u{1b}[31mred\tx"]);
        assert_eq!(
            grid.render(None),
            " a\n───────────────\n \u{fffd}[31mred x".replace("───────────────", &"─".repeat(12))
        );
    }
}
