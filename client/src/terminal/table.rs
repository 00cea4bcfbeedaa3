//! Rows drawn as a table.

use comfy_table::{
    Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle, presets::UTF8_FULL_CONDENSED,
};

use super::escape;

/// The narrowest column that is still worth drawing, borders included.
const NARROWEST_COLUMN: usize = 6;

/// The lines of one table. Every row has as many cells as the header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The names of the columns.
    pub header: Vec<String>,
    /// Which columns stand on the right.
    pub right: Vec<bool>,
    /// The cells, row by row.
    pub rows: Vec<Vec<String>>,
}

impl Rows {
    /// The table as text without a line end, no wider than `width` columns of the terminal; `None` when it has so many
    /// columns that nothing could be read.
    #[must_use]
    pub fn draw(&self, width: Option<u16>) -> Option<String> {
        let mut table = Table::new();
        table.load_style(STYLE);
        if let Some(width) = width {
            if self.header.len() * NARROWEST_COLUMN > usize::from(width) {
                return None;
            }
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(self.header.iter().map(|name| Cell::new(escape::line(name))));
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| Cell::new(escape::line(cell))));
        }
        for (column, right) in table.column_iter_mut().zip(&self.right) {
            if *right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Some(table.to_string())
    }
}

const STYLE: TableStyle = UTF8_FULL_CONDENSED
    .with_rounded_corners()
    .with_solid_inner_borders()
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .row_separator(LineStyle::none());

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows {
            header: vec!["from".into(), "amount".into()],
            right: vec![false, true],
            rows: vec![
                vec!["bob".into(), "100".into()],
                vec!["a very long name of somebody".into(), "75".into()],
            ],
        }
    }

    #[test]
    fn a_table_keeps_within_the_width_of_the_terminal() {
        let drawn = rows().draw(Some(24)).unwrap();
        assert!(drawn.lines().all(|line| line.chars().count() <= 24), "{drawn}");
        assert!(drawn.contains("100 │"), "{drawn}");
    }

    #[test]
    fn without_a_width_no_cell_is_wrapped() {
        let drawn = rows().draw(None).unwrap();
        assert!(drawn.contains("a very long name of somebody"), "{drawn}");
    }

    #[test]
    fn more_columns_than_can_be_read_are_not_drawn() {
        let wide = Rows { header: vec!["x".into(); 30], right: vec![false; 30], rows: Vec::new() };
        assert_eq!(wide.draw(Some(80)), None);
        assert!(wide.draw(None).is_some());
    }

    #[test]
    fn a_cell_cannot_steer_the_terminal() {
        let hostile = Rows {
            header: vec!["\u{1b}[2J".into()],
            right: vec![false],
            rows: vec![vec!["a\nb\u{202e}".into()]],
        };
        let drawn = hostile.draw(None).unwrap();
        assert!(drawn.contains("\\u{1b}[2J") && drawn.contains("a\\nb\\u{202e}"), "{drawn}");
    }
}
