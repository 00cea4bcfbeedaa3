//! What is said when nothing is called: why, what can be asked, and what would understand more.

use std::fmt::Write as _;

use shared::mcp::tools::Tool;

use super::plan::Abstention;

/// More tools than this are not listed.
const MOST_TOOLS: usize = 25;
/// A description is cut here.
const LONGEST_LINE: usize = 160;

/// The answer to a question that is not answered.
pub(super) fn explain(why: &Abstention, tools: &[Tool]) -> String {
    let mut text = String::from("I am the offline planner: I match words and am not a language model. ");
    text.push_str(&reason(why));
    if tools.is_empty() {
        text.push_str("\n\n");
    } else {
        text.push_str(" Nothing was called.\n\nWhat can be asked here:\n\n");
        for tool in tools.iter().take(MOST_TOOLS) {
            line(tool, &mut text);
        }
        if let Some(more) = tools.len().checked_sub(MOST_TOOLS).filter(|more| *more > 0) {
            append(&mut text, format_args!("- and {more} more\n"));
        }
        text.push('\n');
    }
    text.push_str("To ask freely, use a language model: set `OPENAI_API_KEY`, or `OPENAI_BASE_URL` for another endpoint.");
    text
}

fn reason(why: &Abstention) -> String {
    match why {
        Abstention::NoTools => "This server lists no tools that could be called.".to_owned(),
        Abstention::NothingFits => "No tool of this server fits this question.".to_owned(),
        Abstention::NotAbout { tool, words } => {
            let words: Vec<String> =
                words.iter().take(6).map(|word| format!("\u{201c}{word}\u{201d}")).collect();
            format!(
                "No tool fits this question: `{tool}` comes closest, but nothing in it accounts for {}.",
                words.join(", ")
            )
        }
        Abstention::NoSuchOrder { verb } => {
            format!("You ask for a change (\u{201c}{verb}\u{201d}), and no tool of this server makes it.")
        }
        Abstention::Missing { tool, parameters } => {
            let names: Vec<String> = parameters.iter().map(|name| format!("`{name}`")).collect();
            format!("`{tool}` fits, but the question does not clearly give {}.", names.join(" and "))
        }
        Abstention::Beyond { tool, rule } => format!("`{tool}` fits, but {rule}."),
        Abstention::Unclear => "I cannot tell whether you order a change or only ask about one.".to_owned(),
        Abstention::OneOrderAtATime => "A change has to be asked for by itself, one at a time.".to_owned(),
        Abstention::TooMuch => "That is more than three things at once.".to_owned(),
    }
}

fn line(tool: &Tool, text: &mut String) {
    let description = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
    let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = description.chars().take(LONGEST_LINE).collect();
    let dots = if cut.len() < description.len() { "\u{2026}" } else { "" };
    if cut.is_empty() {
        append(text, format_args!("- `{}`\n", tool.name));
    } else {
        append(text, format_args!("- {cut}{dots} (`{}`)\n", tool.name));
    }
}

/// Writing to a string does not fail.
fn append(text: &mut String, piece: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(piece);
    debug_assert!(written.is_ok(), "a String takes everything");
}
