#![expect(clippy::float_cmp, reason = "what is read is what was written")]

use super::{ListedModel, PriceList};
use crate::deployment::{PriceTier, Usage};

fn list(file: &str) -> PriceList {
    PriceList::from_slice(file.as_bytes()).unwrap()
}

/// The one model of a file.
fn model(members: &str) -> (ListedModel, Vec<String>) {
    let list = list(&format!(r#"{{"m": {members}}}"#));
    let problems = list.problems().iter().map(ToString::to_string).collect();
    (list.get(None, "m").cloned().unwrap_or_default(), problems)
}

#[test]
fn a_model_is_read_with_numbers_and_with_texts_for_numbers() {
    let (numbers, problems) = model(
        r#"{"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
            "cache_read_input_token_cost": 0, "cache_creation_input_token_cost": 3e-06,
            "output_cost_per_reasoning_token": 2e-05, "max_input_tokens": 128000,
            "max_output_tokens": 16384, "max_tokens": 1, "litellm_provider": "openai", "mode": "chat",
            "supports_vision": true, "supported_regions": ["global"], "new_in_2031": {"a": []}}"#,
    );
    assert!(problems.is_empty(), "{problems:?}");
    let (texts, problems) = model(
        r#"{"input_cost_per_token": "2.5e-06", "output_cost_per_token": "0.00001",
            "cache_read_input_token_cost": "0", "cache_creation_input_token_cost": " 3e-6 ",
            "output_cost_per_reasoning_token": "2e-05", "max_input_tokens": "128000",
            "max_output_tokens": 16384.0, "litellm_provider": "openai", "mode": "chat",
            "supports_vision": true}"#,
    );
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(texts, numbers);
    let price = numbers.price.unwrap();
    assert_eq!((price.input, price.output), (2.5e-6, 1e-5));
    assert_eq!((price.cached, price.cache_written), (Some(0.0), Some(3e-6)));
    assert_eq!(price.reasoning, Some(2e-5));
    assert_eq!(numbers.max_input_tokens, Some(128_000));
    assert_eq!(numbers.max_output_tokens, Some(16_384));
    assert_eq!((numbers.images, numbers.mode.as_deref()), (Some(true), Some("chat")));
    assert_eq!(model(r#"{"max_tokens": 4096}"#).0.max_output_tokens, Some(4_096));
}

#[test]
fn nothing_is_made_up() {
    for unknown in [
        "{}",
        r#"{"input_cost_per_token": 1e-06}"#,
        r#"{"output_cost_per_token": 1e-06, "mode": "chat"}"#,
        r#"{"input_cost_per_token": 1e-06, "output_cost_per_token": null}"#,
        r#"{"output_cost_per_image": 0.04, "mode": "image_generation"}"#,
        r#"{"input_cost_per_second": 0.04}"#,
        r#"{"tiered_pricing": [{"max_results_range": [0, 25], "input_cost_per_query": 0.005}]}"#,
    ] {
        let (model, problems) = model(unknown);
        assert_eq!((model.price, problems.len()), (None, 0), "{unknown}");
    }
    let free = model(r#"{"input_cost_per_token": 0, "output_cost_per_token": 0.0}"#).0.price;
    assert_eq!(free.unwrap().cost(&Usage { input: 9, ..Usage::default() }), 0.0);
    let embedding = model(r#"{"input_cost_per_token": 1e-06, "mode": "embedding"}"#).0.price;
    assert_eq!(embedding.unwrap().input, 1e-6);
}

#[test]
fn long_inputs_have_prices_of_their_own() {
    let (model, problems) = model(
        r#"{"input_cost_per_token": 1, "output_cost_per_token": 10,
            "input_cost_per_token_above_128k_tokens": 2, "input_cost_per_token_above_200k_tokens": "3",
            "output_cost_per_token_above_200k_tokens": 15,
            "cache_read_input_token_cost_above_200k_tokens": 0.5,
            "cache_creation_input_token_cost_above_512_tokens": 7,
            "input_cost_per_token_above_200k_tokens_priority": 99,
            "input_cost_per_token_priority": 99,
            "cache_creation_input_token_cost_above_1hr": 99,
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 99,
            "output_cost_per_token_above_128k_tokens": null,
            "input_cost_per_character_above_128k_tokens": 99}"#,
    );
    assert!(problems.is_empty(), "{problems:?}");
    let mut tiers = model.price.unwrap().tiers;
    tiers.sort_by_key(|tier| tier.above);
    let expected = [
        PriceTier { cache_written: Some(7.0), ..PriceTier::above(512) },
        PriceTier { input: Some(2.0), ..PriceTier::above(128_000) },
        PriceTier {
            input: Some(3.0),
            output: Some(15.0),
            cached: Some(0.5),
            ..PriceTier::above(200_000)
        },
    ];
    assert_eq!(tiers, expected);
}

#[test]
fn a_table_of_ranges_is_read_as_tiers() {
    let (model, problems) = model(
        r#"{"tiered_pricing": [
            {"range": [32000.0, 128000], "input_cost_per_token": 2, "output_cost_per_token": 20},
            {"range": [0, 32000], "input_cost_per_token": 1, "output_cost_per_token": 10,
             "cache_read_input_token_cost": 0.5}]}"#,
    );
    assert!(problems.is_empty(), "{problems:?}");
    let price = model.price.unwrap();
    let cost = |input, cached| {
        price.cost(&Usage { input, cached, output: 1, reasoning: 1, ..Usage::default() })
    };
    assert_eq!(cost(32_000, 1_000), 31_000.0 + 500.0 + 10.0);
    assert_eq!(cost(32_001, 0), 64_002.0 + 20.0);
    assert_eq!(cost(200_000, 200_000), 400_000.0 + 20.0, "cached is as input where not said");
}

#[test]
fn one_odd_model_does_not_spoil_the_file() {
    let list = list(
        r#"{
        "sample_spec": {"input_cost_per_token": 0.0, "max_tokens": "LEGACY parameter"},
        "text": "not a model",
        "negative": {"input_cost_per_token": -1, "output_cost_per_token": 1, "max_input_tokens": 10},
        "infinite": {"input_cost_per_token": 1, "output_cost_per_token": "1e999"},
        "wordy": {"input_cost_per_token": 1, "output_cost_per_token": 1, "max_input_tokens": "many",
                  "max_tokens": 1.5, "supports_vision": "yes", "mode": 1, "litellm_provider": []},
        "tier": {"input_cost_per_token": 1, "output_cost_per_token": 1,
                 "input_cost_per_token_above_1k_tokens": {}},
        "table": {"tiered_pricing": [{"range": 1}]},
        "good": {"input_cost_per_token": 1, "output_cost_per_token": 1}
    }"#,
    );
    let problems: Vec<_> = list.problems().iter().map(ToString::to_string).collect();
    let expected = [
        "text: expected an object",
        "negative: input_cost_per_token: expected a number of at least 0",
        "infinite: output_cost_per_token: expected a number of at least 0",
        "wordy: mode: expected a text",
        "wordy: litellm_provider: expected a text",
        "wordy: max_tokens: expected a whole number",
        "wordy: max_input_tokens: expected a whole number",
        "wordy: supports_vision: expected true or false",
        "tier: input_cost_per_token_above_1k_tokens: expected a number of at least 0",
        "table: tiered_pricing: expected a list of objects, each with a `range` of whole numbers",
    ];
    let (mut sorted, mut expected) = (problems.clone(), expected.map(str::to_owned).to_vec());
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
    assert!(list.get(None, "sample_spec").is_none() && list.get(None, "text").is_none());
    assert_eq!(list.get(None, "negative").unwrap().max_input_tokens, Some(10));
    for priced in ["wordy", "good"] {
        assert!(list.get(None, priced).unwrap().price.is_some(), "{priced}");
    }
    for unpriced in ["negative", "infinite", "tier", "table"] {
        assert!(list.get(None, unpriced).unwrap().price.is_none(), "{unpriced}");
    }
    assert_eq!(list.len(), 6);
}

#[test]
fn a_provider_s_model_is_found_under_both_names_and_never_as_another_s() {
    let list = list(
        r#"{
        "gpt-4o": {"litellm_provider": "openai", "max_input_tokens": 1},
        "azure/gpt-4o": {"litellm_provider": "azure", "max_input_tokens": 2},
        "claude": {"litellm_provider": "vertex_ai-anthropic_models", "max_input_tokens": 4},
        "instruct": {"litellm_provider": "text-completion-openai", "max_input_tokens": 5},
        "mine": {"max_input_tokens": 6}
    }"#,
    );
    let get =
        |provider, model| list.get(provider, model).and_then(|listed| listed.max_input_tokens);
    assert_eq!(get(Some("openai"), "gpt-4o"), Some(1));
    assert_eq!(get(Some("azure"), "gpt-4o"), Some(2));
    assert_eq!(get(None, "azure/gpt-4o"), Some(2));
    assert_eq!(get(None, "gpt-4o"), Some(1));
    assert!(list.get(Some("groq"), "gpt-4o").is_none());
    assert!(list.get(Some("open"), "gpt-4o").is_none());
    assert_eq!(get(Some("vertex_ai"), "claude"), Some(4));
    assert_eq!(get(Some("openai"), "instruct"), Some(5));
    assert_eq!(get(Some("hosted_vllm"), "mine"), Some(6));
}

#[test]
fn what_is_no_price_file_is_told() {
    for file in ["", "[]", "{\"a\": {}", "{} {}", "\"hunter2\""] {
        let error = PriceList::from_slice(file.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "not a price file in LiteLLM's format");
    }
    let error = PriceList::from_file("/nowhere/prices.json").unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/prices.json");
}
