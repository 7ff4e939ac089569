//! What an engine says about the model that it serves.

use std::time::Duration;

use serde_json::Value;

use super::failure::Failure;
use super::{Address, Error};

const ASK_LIMIT: Duration = Duration::from_secs(5);

/// A model that an engine serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name in requests.
    pub name: String,
    /// Most tokens of a prompt and its output together, where the engine says so.
    pub context_tokens: Option<u64>,
}

/// What an engine says about a model, the first that it lists where `name` is none: `max_model_len` (vLLM, SGLang) or
/// `context_window` (Dynamo's front end) or `meta.n_ctx` (llama.cpp) of the list, or `n_ctx` of a slot at `/props` (llama.cpp
/// before it listed that).
///
/// # Errors
/// When it does not answer as an OpenAI interface does.
pub fn describe(address: &Address, name: Option<&str>) -> Result<Model, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|source| Error::System { what: "start the event loop", source })?;
    let get = |path| runtime.block_on(address.get(path, ASK_LIMIT));
    let failed = |what: String| Error::Answer { address: address.to_string(), what };
    let (status, text) =
        get("/v1/models").map_err(|failure: Failure| failed(format!("does not answer ({failure})")))?;
    let list: Value = serde_json::from_str(&text).ok().filter(|_| status == 200).unwrap_or_default();
    let mut model =
        listed(&list, name).ok_or_else(|| failed(format!("answers with status {status} and no list of models")))?;
    if model.context_tokens.is_none()
        && let Ok((200, props)) = get("/props")
    {
        model.context_tokens = of_a_slot(&serde_json::from_str(&props).unwrap_or_default());
    }
    Ok(model)
}

/// The name of the first model that an engine serves.
///
/// # Errors
/// When it does not answer as an OpenAI interface does.
pub fn discover(address: &Address) -> Result<String, Error> {
    describe(address, None).map(|model| model.name)
}

/// A model of OpenAI's list; one that is not listed may be known under another name, and nothing is known of it.
fn listed(list: &Value, name: Option<&str>) -> Option<Model> {
    let id = |entry: &Value| Some(entry.get("id")?.as_str()?.to_owned());
    let models = list.get("data")?.as_array()?;
    let entry = match name {
        Some(name) => models.iter().find(|entry| id(entry).as_deref() == Some(name)),
        None => models.first(),
    };
    let name = name.map_or_else(|| id(entry?), |name| Some(name.to_owned()))?;
    let places = ["/max_model_len", "/context_window", "/meta/n_ctx"];
    let known = |entry: &Value| places.iter().find_map(|place| tokens(entry.pointer(place)?));
    Some(Model { name, context_tokens: entry.and_then(known) })
}

/// What llama.cpp's server gives each of its slots.
fn of_a_slot(props: &Value) -> Option<u64> {
    tokens(props.pointer("/default_generation_settings/n_ctx")?)
}

fn tokens(value: &Value) -> Option<u64> {
    value.as_u64().filter(|&tokens| tokens > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(list: &str, name: Option<&str>) -> Option<(String, Option<u64>)> {
        let list = serde_json::from_str(list).expect("JSON");
        listed(&list, name).map(|model| (model.name, model.context_tokens))
    }

    #[test]
    fn a_model_is_the_first_or_the_one_that_was_named() {
        let list = r#"{"data":[{"id":"a","max_model_len":4096},{"id":"b","max_model_len":null}]}"#;
        assert_eq!(model(list, None), Some(("a".to_owned(), Some(4096))));
        assert_eq!(model(list, Some("b")), Some(("b".to_owned(), None)));
        assert_eq!(model(list, Some("c")), Some(("c".to_owned(), None)));
        let dynamo = |tokens: u64| model(&format!(r#"{{"data":[{{"id":"d","context_window":{tokens}}}]}}"#), None);
        assert_eq!((dynamo(0), dynamo(9)), (Some(("d".to_owned(), None)), Some(("d".to_owned(), Some(9)))));
        for wrong in ["{}", r#"{"data":[]}"#, r#"{"data":[{"id":3}]}"#, "[]"] {
            assert_eq!(model(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn llama_cpp_says_how_long_the_context_of_a_slot_is() {
        let list = r#"{"data":[{"id":"a","meta":{"n_ctx":2048,"n_ctx_train":32768}}]}"#;
        assert_eq!(model(list, None), Some(("a".to_owned(), Some(2048))));
        let props = |text: &str| of_a_slot(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(props(r#"{"default_generation_settings":{"n_ctx":2048},"total_slots":4}"#), Some(2048));
        assert_eq!(props(r#"{"default_generation_settings":{"n_ctx":0}}"#), None);
        assert_eq!(props("{}"), None);
    }
}
