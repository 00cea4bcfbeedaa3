//! Tables for people.

use comfy_table::{ContentArrangement, Table, presets::NOTHING};

use crate::text;

/// Rows under a header, as wide as they need to be. What could move a cursor is shown as `?`.
pub(super) fn draw<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| visible(&cell)));
    }
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

fn visible(cell: &str) -> String {
    let shown = |char| if text::is_plain(char) { char } else { '?' };
    cell.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_a_cursor_is_shown_as_a_question_mark() {
        let drawn = draw(["id", "name"], [["1".to_owned(), "a\u{1b}[2Jb\u{202e}".to_owned()]]);
        assert!(drawn.contains("a?[2Jb?") && !drawn.contains('\u{1b}'), "{drawn:?}");
        assert!(drawn.starts_with("id"), "{drawn}");
    }
}
