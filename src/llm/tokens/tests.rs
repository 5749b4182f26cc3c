use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::llm::peek::peek;

fn prompt(body: &Value) -> Prompt {
    let body = Bytes::from(body.to_string());
    let peeked = peek(&body, false).unwrap();
    Prompt::new(body, peeked.model.unwrap(), peeked.totals)
}

fn now(count: &Count) -> u64 {
    match count {
        Count::Now(tokens) => *tokens,
        Count::Later(_) => panic!("counted later"),
    }
}

#[test]
fn four_bytes_are_a_token_and_images_a_flat_number() {
    let text = prompt(&json!({"model": "m", "input": "12345"}));
    assert_eq!(now(&Estimate.count(&text)), 2);
    let chat = prompt(&json!({"model": "m", "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "12345678"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(100_000))}},
        ]},
    ]}));
    assert_eq!(now(&Estimate.count(&chat)), 2 + 4 + 3 + 765);
    assert_eq!(now(&Estimate.count(&prompt(&json!({"model": "m", "input": [[1, 2, 3], [4]]})))), 4);
}

#[test]
fn the_texts_are_those_that_were_counted() {
    let prompt = prompt(&json!({
        "model": "m",
        "system": "you\n",
        "messages": [{"role": "user", "content": "hé"}],
        "tools": [{"name": "f"}],
        "metadata": {"x": "not this"},
    }));
    let mut texts = Vec::new();
    prompt.for_each_text(|text| texts.push(text.into_owned()));
    texts.sort();
    assert_eq!(texts, ["[{\"name\":\"f\"}]", "hé", "you\n"]);
    assert_eq!(prompt.text_len(), texts.iter().map(|text| text.len() as u64).sum::<u64>());
}

#[test]
fn what_a_prompt_says_is_not_in_its_debug_output() {
    let prompt = prompt(&json!({"model": "m", "input": "confidential"}));
    assert!(!format!("{prompt:?}").contains("confidential"));
}

#[cfg(feature = "tokens")]
mod tokenizer {
    use super::*;

    #[test]
    fn a_short_text_is_counted_at_once() {
        assert_eq!(
            now(&Tokenizer::new()
                .count(&prompt(&json!({"model": "gpt-4o", "input": "hello world"})))),
            2
        );
        // Where there is no runtime, so is a long one.
        let long = prompt(&json!({"model": "gpt-4o", "input": "hello world ".repeat(1000)}));
        assert!(now(&Tokenizer::new().count(&long)) >= 2000);
    }

    #[tokio::test]
    async fn a_long_text_is_counted_elsewhere() {
        let long = prompt(&json!({"model": "x/gpt-4", "input": "é".repeat(10_000)}));
        let Count::Later(later) = Tokenizer::new().count(&long) else { panic!("counted now") };
        let tokens = later.await.unwrap();
        assert!((1_000..=20_000).contains(&tokens), "{tokens}");
    }
}
