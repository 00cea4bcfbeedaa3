//! Pipe tables within Markdown that arrives in pieces.
//!
//! Text is passed on as it arrives. A line that begins with `|` is held back until it is known whether it belongs to a
//! table, and a table until its last row, since the widths of its columns depend on all of them.

use super::table::Rows;

/// Reads Markdown in pieces and gives back what can be shown by then.
#[derive(Debug, Default)]
pub struct Markdown {
    width: Option<u16>,
    /// The line that has begun and not ended.
    line: String,
    /// Whether that line is being shown as it arrives.
    passing: bool,
    /// Whole lines that are a table, or may become one.
    held: Vec<String>,
    fenced: bool,
    carriage_return: bool,
}

impl Markdown {
    /// Draws tables no wider than `width`; `None` is any width.
    #[must_use]
    pub fn new(width: Option<u16>) -> Self {
        Self { width, ..Self::default() }
    }

    /// Takes the next piece and gives what can be shown now. It is not escaped yet.
    pub fn push(&mut self, piece: &str) -> String {
        let mut shown = String::with_capacity(piece.len());
        for c in piece.chars() {
            if std::mem::take(&mut self.carriage_return) && c != '\n' {
                self.character('\r', &mut shown);
            }
            match c {
                '\r' => self.carriage_return = true,
                '\n' => self.end_line(&mut shown),
                c => self.character(c, &mut shown),
            }
        }
        shown
    }

    /// Gives what is left, and starts anew.
    pub fn finish(&mut self) -> String {
        let mut shown = String::new();
        if self.line.is_empty() || self.passing {
            self.release(&mut shown);
        } else {
            self.end_line(&mut shown);
            self.release(&mut shown);
        }
        *self = Self::new(self.width);
        shown
    }

    fn character(&mut self, c: char, shown: &mut String) {
        self.line.push(c);
        if self.passing {
            shown.push(c);
        } else if self.fenced || !may_be_row(&self.line) {
            self.release(shown);
            shown.push_str(&self.line);
            self.passing = true;
        }
    }

    fn end_line(&mut self, shown: &mut String) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.passing) {
            shown.push('\n');
            if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
                self.fenced = !self.fenced;
            }
        } else if is_row(&line) {
            self.held.push(line);
            if let [header, second] = self.held.as_slice()
                && alignments(second).is_none_or(|columns| columns.len() != cells(header).len())
            {
                shown.push_str(header);
                shown.push('\n');
                self.held.remove(0);
            }
        } else {
            self.release(shown);
            shown.push_str(&line);
            shown.push('\n');
        }
    }

    /// Shows the lines that were held back: as a table if they are one.
    fn release(&mut self, shown: &mut String) {
        let held = std::mem::take(&mut self.held);
        match rows(&held).and_then(|rows| rows.draw(self.width)) {
            Some(table) => {
                shown.push_str(&table);
                shown.push('\n');
            }
            None => held.iter().for_each(|line| {
                shown.push_str(line);
                shown.push('\n');
            }),
        }
    }
}

/// Whether a line that has only begun may become a row.
fn may_be_row(line: &str) -> bool {
    let text = line.trim_start_matches(' ');
    line.len() - text.len() <= 3 && (text.is_empty() || text.starts_with('|'))
}

fn is_row(line: &str) -> bool {
    line.trim_start().starts_with('|')
}

/// The table that the lines are: a header, the row below it that says which columns stand on the right, and rows.
fn rows(lines: &[String]) -> Option<Rows> {
    let (header, below) = lines.split_first()?;
    let (marks, below) = below.split_first()?;
    let header = cells(header);
    let columns = header.len();
    let fit = |line: &String| {
        let mut row = cells(line);
        if row.len() > columns {
            let rest = row.split_off(columns.saturating_sub(1)).join(" | ");
            row.push(rest);
        }
        row.resize(columns, String::new());
        row
    };
    let rows: Vec<Vec<String>> = below.iter().map(fit).collect();
    let mut right = alignments(marks)?;
    for (place, right) in right.iter_mut().enumerate() {
        *right |=
            !rows.is_empty() && rows.iter().all(|row| row.get(place).is_some_and(|cell| is_number(cell)));
    }
    Some(Rows { header, right, rows })
}

/// Numbers stand on the right even where the Markdown does not ask for it. A date is none.
fn is_number(cell: &str) -> bool {
    let digits = cell.trim_start_matches(['+', '-']);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','))
}

/// The cells of a row, without the pipes around them; `\|` is a pipe within one, and `\\` a backslash.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let mut cells = vec![String::new()];
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, cells.last_mut()) {
            ('|', _) if characters.peek().is_none() => {}
            ('|', _) => cells.push(String::new()),
            ('\\', Some(cell)) if matches!(characters.peek(), Some('|' | '\\')) => {
                cell.extend(characters.next())
            }
            (c, Some(cell)) => cell.push(c),
            (_, None) => {}
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// Which columns stand on the right, if the line is the one below a header: `|---|--:|`.
fn alignments(line: &str) -> Option<Vec<bool>> {
    cells(line)
        .iter()
        .map(|cell| {
            let dashes = cell.strip_prefix(':').unwrap_or(cell);
            let dashes = dashes.strip_suffix(':').unwrap_or(dashes);
            let rule = !dashes.is_empty() && dashes.chars().all(|c| c == '-');
            rule.then(|| cell.ends_with(':') && !cell.starts_with(':'))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &str =
        "Your rows:\n\n| from | amount |\n|---|--:|\n| bob | 100 |\n| a\\|b | 75 |\n\nThat is all.";

    fn whole(text: &str) -> String {
        let mut markdown = Markdown::new(Some(60));
        markdown.push(text) + &markdown.finish()
    }

    #[test]
    fn a_table_is_drawn_and_the_text_around_it_stays() {
        insta::assert_snapshot!(whole(TABLE), @r"
        Your rows:

        ╭──────┬────────╮
        │ from │ amount │
        ├──────┼────────┤
        │ bob  │    100 │
        │ a|b  │     75 │
        ╰──────┴────────╯

        That is all.
        ");
    }

    #[test]
    fn numbers_stand_on_the_right_and_dates_do_not() {
        let drawn = whole("| amount | date |\n|---|---|\n| -5 | 2024-03-20 |\n| 1,000.50 | 2024 |\n");
        assert!(drawn.contains("│       -5 │ 2024-03-20 │") && drawn.contains("│ 2024       │"), "{drawn}");
    }

    #[test]
    fn plain_text_is_shown_as_it_arrives() {
        let mut markdown = Markdown::new(None);
        assert_eq!(markdown.push("You ha"), "You ha");
        assert_eq!(markdown.push("ve 3.\n"), "ve 3.\n");
        assert_eq!(markdown.push("| not"), "");
        assert_eq!(markdown.push(" a table\nmore"), "| not a table\nmore");
    }

    #[test]
    fn a_table_within_a_fence_is_left_alone() {
        let fenced = "```\n| a |\n|---|\n| 1 |\n```\n";
        assert_eq!(whole(fenced), fenced);
    }

    #[test]
    fn a_row_with_too_many_or_too_few_cells_loses_nothing() {
        let drawn = whole("| a | b |\n|---|---|\n| 1 |\n| 2 | 3 | 4 |");
        assert!(drawn.contains("3 | 4") && drawn.contains('1'), "{drawn}");
    }

    proptest! {
        #[test]
        fn how_the_text_was_cut_makes_no_difference(
            text in "([|a:\\- \r\n`\\\\]|\\|--\\|\n|\\| a \\| b \\|\n){0,40}", cuts in proptest::collection::vec(0_usize..200, 0..8),
        ) {
            let mut markdown = Markdown::new(Some(60));
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| text.is_char_boundary(cut)).collect();
            cuts.sort_unstable();
            let mut shown = String::new();
            let mut start = 0;
            for cut in cuts {
                shown += &markdown.push(&text[start..cut]);
                start = cut;
            }
            shown += &markdown.push(&text[start..]);
            shown += &markdown.finish();
            prop_assert_eq!(shown, whole(&text));
        }

        #[test]
        fn text_without_a_pipe_comes_out_as_it_went_in(text in "[a-z `#*\n-]{0,80}") {
            let shown = whole(&text);
            prop_assert_eq!(shown.trim_end_matches('\n'), text.trim_end_matches('\n'));
        }
    }
}
