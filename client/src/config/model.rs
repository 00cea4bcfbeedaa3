//! Who answers questions: a model at an endpoint, or the planner that is built in.

use secrecy::SecretString;

use super::{UsageError, Variables};

/// The model that is asked for at an endpoint when none is named.
const DEFAULT_MODEL: &str = "gpt-5-mini";

/// The variable that carries the endpoint's key.
pub(super) const MODEL_KEY_VARIABLE: &str = "OPENAI_API_KEY";

/// Who answers questions, and why.
#[derive(Debug, Clone)]
pub enum ModelChoice {
    /// The embedded planner.
    Offline {
        /// Whether it stands in because no endpoint is configured.
        by_default: bool,
    },
    /// A model at an OpenAI-compatible endpoint.
    Endpoint(EndpointSettings),
}

/// An OpenAI-compatible endpoint.
#[derive(Debug, Clone)]
pub struct EndpointSettings {
    /// Its base URL, where that is not OpenAI's own.
    pub base_url: Option<String>,
    /// Its key; local servers need none.
    pub api_key: Option<SecretString>,
    /// The model's name.
    pub model: String,
    /// The variable that made the choice.
    pub because: &'static str,
}

impl ModelChoice {
    pub(super) fn new(flag: Option<String>, variables: &Variables<'_>) -> Result<Self, UsageError> {
        let (setting, wanted) = match flag {
            Some(model) => ("--model", Some(model)),
            None => ("MODEL", variables.text("MODEL")?),
        };
        let wanted = wanted.as_deref().map(str::trim).filter(|wanted| *wanted != "auto");
        if wanted == Some("offline") {
            return Ok(Self::Offline { by_default: false });
        }
        if wanted == Some("") {
            return Err(UsageError::invalid(setting, "`auto`, `offline` or the name of a model"));
        }
        let base_url = variables.text("OPENAI_BASE_URL")?;
        let api_key = variables.text(MODEL_KEY_VARIABLE)?.map(SecretString::from);
        let because = match (&base_url, &api_key, wanted) {
            (Some(_), _, _) => "OPENAI_BASE_URL",
            (None, Some(_), _) => MODEL_KEY_VARIABLE,
            (None, None, None) => return Ok(Self::Offline { by_default: true }),
            (None, None, Some(model)) => {
                let rule = format!(
                    "the model `{model}` needs an endpoint: set {MODEL_KEY_VARIABLE}, or OPENAI_BASE_URL for another endpoint \
                     than OpenAI's; `offline` needs none"
                );
                return Err(UsageError::invalid(setting, rule));
            }
        };
        let model = match wanted {
            Some(model) => model.to_owned(),
            None => variables.text("OPENAI_MODEL")?.unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
        };
        Ok(Self::Endpoint(EndpointSettings { base_url, api_key, model, because }))
    }
}
