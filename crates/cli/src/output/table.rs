//! Tables that fit the terminal.
//!
//! Columns share the width, long cells wrap between words, numbers stand right. Where that would
//! break words, which names and ids are, columns that can be spared are left out; if that is not
//! enough, each row is shown as a block of `name: value` lines instead. Without a terminal nothing
//! is wrapped, cut or left out.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table,
    TableStyle, Width,
};

use super::printable::printable;

/// Narrowest column, separators included, in which text can still be read.
const READABLE: usize = 12;
/// Longest word that is never broken; a run's id has 36 characters.
const LONGEST_WORD: usize = 64;
/// Padding of a column, and its separator.
const MARGIN: usize = 3;

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

    /// Leaves out columns of `spare`, in its order, until the others fit into `width`; answers
    /// which. Without a width, all fit.
    pub fn spare(&mut self, width: Option<u16>, spare: &[&'static str]) -> Vec<&'static str> {
        let Some(width) = width else {
            return Vec::new();
        };
        let mut left_out = Vec::new();
        for name in spare {
            if !self.is_crowded(usize::from(width)) {
                break;
            }
            if let Some(index) = self.header.iter().position(|(header, _)| header == name) {
                self.header.remove(index);
                self.rows.iter_mut().for_each(|row| drop(row.remove(index)));
                left_out.push(*name);
            }
        }
        left_out
    }

    /// The table in at most `width` columns; without a width, as wide as it gets.
    pub fn render(&self, width: Option<u16>) -> String {
        match width {
            Some(width) if self.is_crowded(usize::from(width)) => self.blocks(),
            _ => self.table(width),
        }
    }

    fn is_crowded(&self, width: usize) -> bool {
        let least: usize = (0..self.header.len()).map(|index| self.least(index)).sum();
        // Nothing separates the last column from the edge.
        least.saturating_sub(1) > width
    }

    /// Width of a column that is as narrow as can be, with its margin.
    fn least(&self, index: usize) -> usize {
        let length = |word: &str| word.chars().count();
        let cells: Vec<&str> = self.column(index).collect();
        let natural = cells.iter().flat_map(|cell| cell.lines()).map(length).max();
        let words = cells.iter().flat_map(|cell| cell.split_whitespace());
        let word = words.map(length).max().unwrap_or(0).min(LONGEST_WORD) + MARGIN;
        word.max((natural.unwrap_or(0) + MARGIN).min(READABLE))
    }

    /// What stands in a column, its name first.
    fn column(&self, index: usize) -> impl Iterator<Item = &str> {
        let name = self.header.get(index).map(|(name, _)| name.as_str());
        let cells = self.rows.iter().filter_map(move |row| row.get(index));
        name.into_iter().chain(cells.map(String::as_str))
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
        if width.is_some() {
            table.set_constraints((0..self.header.len()).map(|index| {
                // The separator is not the column's.
                let least = u16::try_from(self.least(index) - 1).unwrap_or(u16::MAX);
                ColumnConstraint::LowerBoundary(Width::Fixed(least))
            }));
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
