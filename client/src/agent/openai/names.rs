//! Tool names on the way to a model and back. MCP allows more than the 64 letters, digits, `_` and `-` that OpenAI
//! takes, so a name that does not fit gets one that does.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use shared::mcp::tools::Tool;

/// The longest name.
const MAX_CHARS: usize = 64;

/// The names of one listing, for as long as one request takes. The same listing gives the same names.
#[derive(Debug, Default)]
pub(super) struct Names {
    to_wire: HashMap<String, String>,
    to_tool: HashMap<String, String>,
}

impl Names {
    /// A name for each tool whose own does not fit.
    pub(super) fn new(tools: &[Tool]) -> Self {
        let mut names = Self::default();
        let mut taken: HashSet<String> =
            tools.iter().map(|tool| &tool.name).filter(|name| fits(name)).cloned().collect();
        for tool in tools.iter().filter(|tool| !fits(&tool.name)) {
            let wire = free(&fitting(&tool.name), &taken);
            taken.insert(wire.clone());
            names.to_wire.insert(tool.name.clone(), wire.clone());
            names.to_tool.insert(wire, tool.name.clone());
        }
        names
    }

    /// What the endpoint is told. Names that are in no listing, which a model made up, are made to fit too.
    pub(super) fn wire<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
        match self.to_wire.get(name) {
            Some(wire) => Cow::Borrowed(wire),
            None if fits(name) => Cow::Borrowed(name),
            None => Cow::Owned(fitting(name)),
        }
    }

    /// Which tool the endpoint means.
    pub(super) fn tool(&self, wire: &str) -> String {
        self.to_tool.get(wire).map_or(wire, String::as_str).to_owned()
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

fn fits(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_CHARS && name.chars().all(is_plain)
}

fn fitting(name: &str) -> String {
    let plain: String = name
        .chars()
        .take(MAX_CHARS)
        .map(|character| if is_plain(character) { character } else { '_' })
        .collect();
    if plain.is_empty() { "unnamed".to_owned() } else { plain }
}

fn free(wanted: &str, taken: &HashSet<String>) -> String {
    let mut name = wanted.to_owned();
    let mut number = 1_u32;
    while taken.contains(&name) {
        number = number.saturating_add(1);
        let suffix = format!("_{number}");
        let stem: String = wanted.chars().take(MAX_CHARS.saturating_sub(suffix.len())).collect();
        name = stem + &suffix;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Tool {
        serde_json::from_value(serde_json::json!({ "name": name, "inputSchema": {} })).unwrap()
    }

    #[test]
    fn every_name_fits_is_its_own_and_leads_back() {
        let long = "x".repeat(100);
        let longer = "x".repeat(101);
        let listed = ["getBalance", "files.read", "files/read", "files_read", &long, &longer, "größe"];
        let tools: Vec<_> = listed.iter().map(|name| tool(name)).collect();
        let names = Names::new(&tools);
        let wires: HashSet<_> = listed.iter().map(|name| names.wire(name).into_owned()).collect();
        assert_eq!(wires.len(), listed.len());
        for name in listed {
            let wire = names.wire(name);
            assert!(fits(&wire), "{wire}");
            assert_eq!(names.tool(&wire), name);
        }
        assert_eq!(names.wire("getBalance"), "getBalance");
        assert_eq!(names.wire("files_read"), "files_read");
    }

    #[test]
    fn names_that_a_model_made_up_are_made_to_fit() {
        let names = Names::default();
        assert_eq!(names.wire("no such tool!"), "no_such_tool_");
        assert_eq!(names.wire(""), "unnamed");
        assert_eq!(names.tool("made_up"), "made_up");
    }
}
