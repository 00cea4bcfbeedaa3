//! A tool as the planner sees it: the words it is known by, what it takes, and whether it only reads.

use shared::mcp::tools::Tool;

use super::lexicon::{self, Concept, Strength, Verb};
use super::parameter::Parameter;
use super::words::{Kind, split_name, stem, tokens};

/// One word that a tool is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// Lower case.
    pub(super) word: String,
    /// What words of one family have in common.
    pub(super) stem: String,
}

impl Term {
    /// A term of one word.
    pub(super) fn new(word: &str) -> Self {
        Self { word: word.to_owned(), stem: stem(word) }
    }

    /// It surely means this.
    pub(super) fn means(&self, concept: Concept) -> bool {
        lexicon::means(&self.stem, concept)
    }
}

/// One listed tool, taken apart.
#[derive(Debug)]
pub(super) struct Candidate<'t> {
    /// As it was listed.
    pub(super) tool: &'t Tool,
    /// The verb in its name.
    pub(super) verb: Option<Term>,
    /// The other words of its name and title.
    pub(super) name: Vec<Term>,
    /// The stem of the noun that the others in its name go with: `alerts` in `list_weather_alerts`.
    pub(super) head: Option<String>,
    /// The words of the beginning of its description.
    pub(super) about: Vec<Term>,
    /// The names of what it gives back.
    pub(super) outputs: Vec<Term>,
    /// What it takes.
    pub(super) parameters: Vec<Parameter>,
    /// It only reads.
    pub(super) reads: bool,
}

impl<'t> Candidate<'t> {
    /// Takes a tool apart.
    pub(super) fn new(tool: &'t Tool) -> Self {
        let words = split_name(&tool.name);
        let verb_at = words.iter().enumerate().position(|(at, word)| {
            lexicon::reads(word).is_some_and(|_| at == 0 || !lexicon::is_noun_too(word))
        });
        let verb = verb_at.and_then(|at| words.get(at)).map(|word| Term::new(word));
        let head = words
            .iter()
            .enumerate()
            .filter(|(at, _)| Some(*at) != verb_at)
            .take_while(|(_, word)| !is_glue(word));
        let heads: Vec<Term> =
            head.map(|(_, word)| Term::new(word)).filter(|term| !is_vague(&term.word)).collect();
        let others =
            words.iter().enumerate().filter(|(at, _)| Some(*at) != verb_at).map(|(_, word)| word.clone());
        let description = opening(tool.description.as_deref().unwrap_or_default());
        let mut name: Vec<Term> = others.filter(|word| !is_glue(word)).map(|word| Term::new(&word)).collect();
        let own = speaks_of_the_asker(&description);
        if own {
            name.retain(|term| term.stem != "user");
        }
        Self {
            about: about(&description, own),
            outputs: outputs(tool),
            parameters: Parameter::all(&tool.input_schema),
            reads: only_reads(tool, verb.as_ref(), &description),
            head: heads.last().map(|term| term.stem.clone()),
            verb,
            name,
            tool,
        }
    }

    /// Its name or description surely has this meaning.
    pub(super) fn has(&self, concept: Concept) -> bool {
        self.name.iter().chain(&self.about).any(|term| term.means(concept))
    }

    /// What it gives back has this meaning.
    pub(super) fn gives(&self, concept: Concept) -> bool {
        self.outputs.iter().any(|term| {
            lexicon::meanings(&term.stem)
                .iter()
                .any(|(known, strength)| *known == concept && *strength == Strength::Strong)
        })
    }

    /// It gives whole lists: every row, not the first ones of them.
    pub(super) fn lists_all(&self) -> bool {
        self.has("all") || self.verb.as_ref().is_some_and(|verb| verb.word == "list")
    }

    /// Every word it is known by, for mending slips.
    pub(super) fn vocabulary(&self) -> impl Iterator<Item = &str> {
        let terms = self.name.iter().chain(&self.about).chain(&self.verb);
        terms.map(|term| term.word.as_str()).filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic()))
    }
}

/// Words of a name that say nothing about what it is for.
fn is_glue(word: &str) -> bool {
    matches!(
        word,
        "a" | "an" | "the" | "for" | "of" | "by" | "to" | "from" | "in" | "on" | "with" | "and" | "my"
    ) || word.bytes().all(|b| b.is_ascii_digit())
}

/// Nouns that say nothing about what a tool is about.
fn is_vague(word: &str) -> bool {
    matches!(
        word,
        "info"
            | "information"
            | "details"
            | "detail"
            | "data"
            | "list"
            | "tool"
            | "page"
            | "summary"
            | "status"
    )
}

/// The first two sentences, and not more than 200 characters: what follows is advice, and names other things.
fn opening(description: &str) -> String {
    let mut sentences = 0_u8;
    let mut opening = String::new();
    for word in description.split_whitespace() {
        if sentences >= 2 || opening.len() > 200 {
            break;
        }
        opening.push_str(word);
        opening.push(' ');
        sentences = sentences.saturating_add(u8::from(word.ends_with('.')));
    }
    opening
}

/// The tool is about whoever calls it, and about nobody else.
fn speaks_of_the_asker(description: &str) -> bool {
    let lower = description.to_lowercase();
    ["authenticated", "current", "signed-in", "logged-in", "calling"].iter().any(|which| {
        ["user", "account holder", "customer", "caller", "member"]
            .iter()
            .any(|who| lower.contains(&format!("{which} {who}")))
    })
}

fn about(description: &str, own: bool) -> Vec<Term> {
    let of_the_asker = |text: &str| {
        own && matches!(
            text,
            "user" | "users" | "authenticated" | "customer" | "caller" | "signed" | "logged"
        )
    };
    let words = tokens(description)
        .into_iter()
        .filter(|token| token.kind == Kind::Word && !lexicon::is_filler(token) && !of_the_asker(&token.text));
    words.map(|token| Term { word: token.text, stem: token.stem }).collect()
}

/// The names of the members of the result, two levels down.
fn outputs(tool: &Tool) -> Vec<Term> {
    fn collect(schema: &serde_json::Value, depth: u8, names: &mut Vec<String>) {
        if depth == 0 {
            return;
        }
        for key in ["properties", "$defs"] {
            for (name, inner) in schema.get(key).and_then(serde_json::Value::as_object).into_iter().flatten()
            {
                names.extend(split_name(name));
                collect(inner, depth.saturating_sub(1), names);
            }
        }
        if let Some(items) = schema.get("items") {
            collect(items, depth, names);
        }
    }
    let mut names = Vec::new();
    if let Some(schema) = &tool.output_schema {
        collect(&serde_json::Value::Object(schema.clone()), 3, &mut names);
    }
    names.sort();
    names.dedup();
    names.iter().map(|name| Term::new(name)).collect()
}

/// What the server says counts, except that a tool whose name begins with a verb of change is never taken for one that
/// only reads. Without a hint the verb decides; without a verb the first word of the description.
fn only_reads(tool: &Tool, verb: Option<&Term>, description: &str) -> bool {
    let by_verb = verb.and_then(|verb| lexicon::reads(&verb.word));
    let hint = tool.annotations.as_ref().and_then(|hints| hints.read_only_hint);
    match (hint, by_verb) {
        (Some(false), _) | (_, Some(Verb::Change)) => false,
        (Some(true), None | Some(Verb::Read)) | (None, Some(Verb::Read)) => true,
        (None, None) => {
            let first = description.split_whitespace().next().unwrap_or_default().to_lowercase();
            let first = first.trim_matches(|c: char| !c.is_alphabetic());
            let first = if lexicon::reads(first).is_none() { first.trim_end_matches('s') } else { first };
            lexicon::reads(first) == Some(Verb::Read)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(value: serde_json::Value) -> Tool {
        serde_json::from_value(value).unwrap()
    }

    fn reads(value: serde_json::Value) -> bool {
        Candidate::new(&tool(value)).reads
    }

    #[test]
    fn a_hint_counts_unless_the_name_orders_a_change() {
        let schema = json!({"type": "object"});
        let named = |name: &str, hint: Option<bool>| json!({"name": name, "inputSchema": schema, "annotations": {"readOnlyHint": hint}});
        assert!(reads(named("getThing", None)));
        assert!(reads(named("thing", Some(true))));
        assert!(!reads(named("thing", None)));
        assert!(!reads(named("getThing", Some(false))));
        assert!(!reads(named("deleteThing", Some(true))));
        assert!(reads(json!({"name": "thing", "description": "Returns things.", "inputSchema": {}})));
    }

    #[test]
    fn the_authenticated_user_is_nobody_to_be_named() {
        let tool = tool(json!({
            "name": "getThings", "description": "Get the things for the authenticated user.", "inputSchema": {},
            "outputSchema": {"type": "object", "properties": {"things": {"type": "array", "items": {"properties": {"madeOn": {}}}}}}
        }));
        let candidate = Candidate::new(&tool);
        assert!(candidate.about.iter().all(|term| term.word != "user" && term.word != "authenticated"));
        let outputs: Vec<&str> = candidate.outputs.iter().map(|term| term.word.as_str()).collect();
        assert_eq!(outputs, ["made", "on", "things"]);
    }
}
