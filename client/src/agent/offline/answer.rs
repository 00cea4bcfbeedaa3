//! An answer made from what the tools gave back, and from nothing else. Markdown: a sentence, a table.

use std::collections::{HashMap, HashSet};

use shared::mcp::content::ContentBlock;

use super::super::conversation::ToolResult;
use super::datum::Datum;
use super::lexicon;
use super::movement;
use super::words::{Kind, split_name, stem, tokens};

/// A record of more members than this becomes a table.
const LONGEST_SENTENCE: usize = 4;

/// A list whose records have more different members than this becomes no table.
const MAX_COLUMNS: usize = 32;

/// What would take up more characters as a table, its columns drawn as wide as their widest cells, becomes none.
const MAX_AREA: usize = 1024 * 1024;

/// How much of a value is shown where there is no table.
const MAX_VALUE_CHARS: usize = 200;

/// The answer to a question from the results of its calls, in their order.
pub(super) fn compose(question: &str, results: &[&ToolResult]) -> String {
    let told = results.iter().enumerate().filter(|(at, result)| {
        let later = results.iter().skip(at.saturating_add(1));
        !later.clone().any(|later| is_superseded(result, later))
    });
    let mut pieces: Vec<String> = told.map(|(_, result)| one(result)).collect();
    let lists =
        results.iter().any(|result| !result.result.failed() && holds_rows(&Datum::of(&result.result)));
    let asks_for_a_part =
        tokens(question).iter().any(|token| token.kind == Kind::Word && lexicon::is_partial(token));
    if lists && asks_for_a_part {
        pieces.push(
            "The list is as the server gave it: nothing was filtered, counted or added up by topic."
                .to_owned(),
        );
    }
    pieces.join("\n\n")
}

/// A later result tells how far the same thing has come: both have its handle and a status.
fn is_superseded(result: &ToolResult, later: &ToolResult) -> bool {
    let handles = |result: &ToolResult| -> Vec<(String, String)> {
        let record = result.result.structured_content.as_ref().and_then(|value| value.as_object());
        let record = record.filter(|record| record.contains_key("status"));
        let texts = record.into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_str()?)));
        texts
            .filter(|(name, _)| name.ends_with("Id"))
            .map(|(name, id)| (name.clone(), id.to_owned()))
            .collect()
    };
    let known = handles(result);
    !later.result.failed() && handles(later).iter().any(|handle| known.contains(handle))
}

fn one(result: &ToolResult) -> String {
    if result.result.failed() {
        let text = result.result.text();
        let text = if text.trim().is_empty() { "no reason given" } else { text.trim() };
        return format!("Error from `{}`: {text}", result.name);
    }
    let mut text = describe(&subject(&result.name), &Datum::of(&result.result));
    let others = result.result.content.iter().filter(|block| !matches!(block, ContentBlock::Text(_))).count();
    if others > 0 {
        let plural = if others == 1 { "" } else { "s" };
        text.push_str(&format!("\n\n(and {others} block{plural} of content other than text, not shown)"));
    }
    if text.trim().is_empty() { format!("`{}` was called and gave nothing back.", result.name) } else { text }
}

/// What a tool's name is about: its words without the verb.
fn subject(name: &str) -> Vec<String> {
    let words = split_name(name);
    let verb =
        words.iter().position(|word| lexicon::reads(word).is_some_and(|_| !lexicon::is_noun_too(word)));
    words.into_iter().enumerate().filter(|(at, _)| Some(*at) != verb).map(|(_, word)| word).collect()
}

fn describe(subject: &[String], datum: &Datum) -> String {
    match datum {
        Datum::Null => String::new(),
        Datum::Text(text) => text.trim_end().to_owned(),
        Datum::Plain(text) if subject.is_empty() => format!("{text}."),
        Datum::Plain(text) => format!("{}: {text}.", capital(&subject.join(" "))),
        Datum::List(items) => list(subject, items),
        Datum::Record(members) => match movement::sentence(members) {
            Some(sentence) if subject.is_empty() => capital(&sentence),
            Some(sentence) => format!("{}: {sentence}", capital(&subject.join(" "))),
            None => record(subject, members),
        },
    }
}

fn record(subject: &[String], members: &[(String, Datum)]) -> String {
    if let [(name, inner @ (Datum::List(_) | Datum::Record(_)))] = members {
        return describe(&joined(subject, name), inner);
    }
    let (plain, nested): (Vec<_>, Vec<_>) = members.iter().partition(|(_, member)| member.is_scalar());
    let mut pieces = Vec::new();
    if !plain.is_empty() && plain.iter().any(|(_, member)| *member != Datum::Null) {
        let told: Vec<&(String, Datum)> =
            plain.into_iter().filter(|(_, member)| *member != Datum::Null).collect();
        pieces.push(if told.len() > LONGEST_SENTENCE {
            fields(subject, &told)
        } else {
            sentence(subject, &told)
        });
    }
    let nested = nested.into_iter().map(|(name, member)| describe(&joined(subject, name), member));
    pieces.splice(0..0, nested.collect::<Vec<_>>());
    if pieces.is_empty() { "The result is empty.".to_owned() } else { pieces.join("\n\n") }
}

/// "The account balance is -200 (username: bob)."
fn sentence(subject: &[String], members: &[&(String, Datum)]) -> String {
    let main = members.iter().position(|(name, _)| {
        split_name(name).last().map(|word| stem(word)) == subject.last().map(|word| stem(word))
    });
    let aside = |skip: Option<usize>| {
        let others = members.iter().enumerate().filter(|(at, _)| Some(*at) != skip);
        others
            .map(|(_, (name, member))| format!("{}: {}", split_name(name).join(" "), member.inline()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match main.and_then(|at| members.get(at)) {
        Some((_, value)) => {
            let others = aside(main);
            let others = if others.is_empty() { others } else { format!(" ({others})") };
            format!("The {} is {}{others}.", subject.join(" "), value.inline())
        }
        None if subject.is_empty() => capital(&format!("{}.", aside(None))),
        None => capital(&format!("{}: {}.", subject.join(" "), aside(None))),
    }
}

fn fields(subject: &[String], members: &[&(String, Datum)]) -> String {
    let rows = members.iter().map(|(name, member)| vec![split_name(name).join(" "), member.inline()]);
    let title = if subject.is_empty() { "Result".to_owned() } else { capital(&subject.join(" ")) };
    let told = table(&["field", "value"], &rows.collect::<Vec<_>>()).unwrap_or_else(|| {
        members.iter().map(|member| format!("- {}", line([*member]))).collect::<Vec<_>>().join("\n")
    });
    format!("{title}:\n\n{told}")
}

fn list(subject: &[String], items: &[Datum]) -> String {
    let words: Vec<&str> =
        subject.iter().map(String::as_str).filter(|word| *word != "all" && *word != "list").collect();
    let things = if words.is_empty() { "results".to_owned() } else { words.join(" ") };
    let records: Option<Vec<&Vec<(String, Datum)>>> = items
        .iter()
        .map(|item| match item {
            Datum::Record(members) => Some(members),
            Datum::Null | Datum::Plain(_) | Datum::Text(_) | Datum::List(_) => None,
        })
        .collect();
    let opening = match items.len() {
        0 => return format!("There are no {}.", plural(&things)),
        1 => format!("Here is 1 {}:", singular(&things)),
        many => format!("Here are {many} {}:", plural(&things)),
    };
    let Some(records) = records else {
        let lines: Vec<String> = items.iter().map(|item| format!("- {}", item.inline())).collect();
        return format!("{opening}\n\n{}", lines.join("\n"));
    };
    let told = rows(&records).unwrap_or_else(|| {
        let lines: Vec<String> = records.iter().map(|members| format!("- {}", line(*members))).collect();
        lines.join("\n")
    });
    format!("{opening}\n\n{told}")
}

/// Records as a table with a column for each name; `None` where they are better told one by one.
fn rows(records: &[&Vec<(String, Datum)>]) -> Option<String> {
    let mut known = HashSet::new();
    let names = records.iter().flat_map(|members| members.iter()).map(|(name, _)| name.as_str());
    let columns: Vec<&str> = names.filter(|name| known.insert(*name)).take(MAX_COLUMNS + 1).collect();
    if columns.len() > MAX_COLUMNS {
        return None;
    }
    let cells_of = |members: &&Vec<(String, Datum)>| {
        let cells: HashMap<&str, &Datum> =
            members.iter().map(|(name, member)| (name.as_str(), member)).collect();
        columns.iter().map(|name| cells.get(name).map(|member| member.inline()).unwrap_or_default()).collect()
    };
    table(&columns, &records.iter().map(cells_of).collect::<Vec<_>>())
}

/// Members in one line, their values cut.
fn line<'a>(members: impl IntoIterator<Item = &'a (String, Datum)>) -> String {
    let told = members.into_iter().map(|(name, member)| format!("{name}: {}", cut(&member.inline())));
    told.collect::<Vec<_>>().join(", ")
}

fn cut(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(MAX_VALUE_CHARS).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A Markdown table; `None` where it would be too large.
fn table(columns: &[&str], rows: &[Vec<String>]) -> Option<String> {
    let mut widest: Vec<usize> = columns.iter().map(|name| name.len()).collect();
    for cells in rows {
        for (width, cell) in widest.iter_mut().zip(cells) {
            *width = cell.len().max(*width);
        }
    }
    let width: usize = widest.iter().sum();
    if width.saturating_mul(rows.len()) > MAX_AREA {
        return None;
    }
    let header = [row(columns.iter().copied()), format!("|{}", " --- |".repeat(columns.len()))];
    let below = rows.iter().map(|cells| row(cells.iter().map(String::as_str)));
    Some(header.into_iter().chain(below).collect::<Vec<_>>().join("\n"))
}

fn row<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    format!("| {} |", cells.map(escape).collect::<Vec<_>>().join(" | "))
}

fn escape(cell: &str) -> String {
    cell.replace('\\', "\\\\").replace('|', "\\|")
}

/// The subject as a member's name has it: `transactions` within `latest transactions` is the latter.
fn joined(subject: &[String], name: &str) -> Vec<String> {
    let words = split_name(name);
    let last = |words: &[String]| words.last().map(|word| stem(word));
    if subject.is_empty() || last(subject) != last(&words) { words } else { subject.to_vec() }
}

fn holds_rows(datum: &Datum) -> bool {
    match datum {
        Datum::List(_) => true,
        Datum::Record(members) => members.iter().any(|(_, member)| matches!(member, Datum::List(_))),
        Datum::Null | Datum::Plain(_) | Datum::Text(_) => false,
    }
}

fn singular(words: &str) -> String {
    let cut =
        |ending: &str, instead: &str| words.strip_suffix(ending).map(|start| format!("{start}{instead}"));
    cut("ies", "y")
        .or_else(|| {
            ["sses", "xes", "ches", "shes"]
                .iter()
                .find_map(|ending| cut(ending, ending.trim_end_matches("es")))
        })
        .or_else(|| if words.ends_with("ss") { None } else { cut("s", "") })
        .unwrap_or_else(|| words.to_owned())
}

fn plural(words: &str) -> String {
    if words.ends_with('s')
        || words.ends_with("data")
        || words.ends_with("history")
        || words.ends_with("people")
    {
        words.to_owned()
    } else if let Some(start) = words.strip_suffix('y').filter(|start| !start.ends_with(['a', 'e', 'o', 'u']))
    {
        format!("{start}ies")
    } else {
        format!("{words}s")
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
