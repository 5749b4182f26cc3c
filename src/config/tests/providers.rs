//! Whom requests go to, in which manner, with which key.

use super::{params, valid};
use crate::{
    config::{Config, DeploymentConfig, Secret},
    llm::Provider,
};

/// The deployment of a file with these `litellm_params`, where the environment is this.
fn deployment(params: &str, environment: &[(&str, &str)]) -> DeploymentConfig {
    let text = format!("model_list: [{{model_name: '*', litellm_params: {{{params}}}}}]");
    let value = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let config = Config::from_yaml_with(&text, value).unwrap_or_else(|error| panic!("{error}"));
    config.deployments.into_iter().next().unwrap()
}

fn key(one: &DeploymentConfig) -> Option<&str> {
    one.api_key.as_ref().map(Secret::expose)
}

fn header<'d>(one: &'d DeploymentConfig, name: &str) -> Option<&'d str> {
    one.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.to_str().unwrap())
}

#[test]
fn azure_is_spoken_to_as_azure() {
    let one = deployment(
        "model: azure/my-gpt, api_base: 'https://me.openai.azure.com/', api_key: k, api_version: 2024-10-21",
        &[],
    );
    assert_eq!(
        (one.api, &*one.model, one.provider.as_deref()),
        (Provider::Azure, "my-gpt", Some("azure"))
    );
    assert_eq!(one.api_base, "https://me.openai.azure.com");
    assert_eq!((one.api_version.as_deref(), key(&one)), (Some("2024-10-21"), Some("k")));

    let environment = [
        ("AZURE_API_BASE", "https://env.example/"),
        ("AZURE_API_KEY", "env-key"),
        ("AZURE_API_VERSION", "2025-01-01"),
        ("AZURE_AD_TOKEN", "token"),
    ];
    let one = deployment("model: azure/my-gpt", &environment);
    assert_eq!((&*one.api_base, key(&one)), ("https://env.example", Some("env-key")));
    assert_eq!(
        (one.api_version.as_deref(), header(&one, "authorization")),
        (Some("2025-01-01"), None)
    );
}

#[test]
fn azures_version_has_a_default_and_others_have_none() {
    let version = |params: &str| deployment(params, &[]).api_version;
    assert_eq!(
        version("model: azure/x, api_base: 'https://a.example'").as_deref(),
        Some("2025-02-01-preview")
    );
    assert_eq!(version("model: gpt-4o"), None);
}

#[test]
fn azures_key_of_the_environment_goes_to_azure_only() {
    let environment = [("AZURE_API_KEY", "env-key")];
    for (base, given) in [
        ("https://me.openai.azure.com", Some("env-key")),
        ("https://ME.OpenAI.Azure.com", Some("env-key")),
        ("https://me.services.ai.azure.com/api", Some("env-key")),
        ("https://me.cognitiveservices.azure.us", Some("env-key")),
        ("http://me.openai.azure.com", None),
        ("https://me.westeurope.cloudapp.azure.com", None),
        ("https://openai.azure.com.example", None),
        ("https://notopenai.azure.com", None),
        ("https://elsewhere.example/openai.azure.com", None),
    ] {
        let one = deployment(&format!("model: azure/x, api_base: '{base}'"), &environment);
        assert_eq!(key(&one), given, "{base}");
    }
}

#[test]
fn a_token_stands_in_for_azures_key() {
    let base = "model: azure/x, api_base: 'https://me.openai.azure.com'";
    let one = deployment(&format!("{base}, azure_ad_token: t0k"), &[("AZURE_API_KEY", "env-key")]);
    assert_eq!((key(&one), header(&one, "authorization")), (None, Some("Bearer t0k")));
    let one = deployment(base, &[("AZURE_AD_TOKEN", "t0k")]);
    assert_eq!((key(&one), header(&one, "authorization")), (None, Some("Bearer t0k")));
    let one = deployment(&format!("{base}, api_key: k, azure_ad_token: t0k"), &[]);
    assert_eq!((key(&one), header(&one, "authorization")), (Some("k"), None));
}

#[test]
fn anthropic_is_spoken_to_as_anthropic() {
    let one = deployment("model: anthropic/claude", &[("ANTHROPIC_API_KEY", "sk-ant")]);
    assert_eq!((one.api, &*one.model), (Provider::Anthropic, "claude"));
    assert_eq!((&*one.api_base, key(&one)), ("https://api.anthropic.com", Some("sk-ant")));
}

#[test]
fn an_address_of_the_environment_goes_before_the_public_one() {
    let environment = [
        ("OPENAI_BASE_URL", " "),
        ("OPENAI_API_BASE", "http://proxy.example/v1/"),
        ("OPENAI_API_KEY", "sk-env"),
    ];
    let one = deployment("model: gpt-4o", &environment);
    assert_eq!((&*one.api_base, key(&one)), ("http://proxy.example/v1", Some("sk-env")));
    let one = deployment("model: gpt-4o, api_base: 'http://a.example'", &environment);
    assert_eq!((&*one.api_base, key(&one)), ("http://a.example", None));

    let text = "model_list: [{model_name: c, litellm_params: {model: gpt-4o}}]";
    let environment =
        |name: &str| (name == "OPENAI_API_BASE").then(|| "http://me:pass@a".to_owned());
    let error = Config::from_yaml_with(text, environment).unwrap_err().to_string();
    let expected = "expected an address without credentials, query or fragment, found the value of environment \
                    variable OPENAI_API_BASE";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn what_calls_itself_openai_elsewhere_is_not() {
    let api = |params: &str| deployment(params, &[]).api;
    assert_eq!(api("model: gpt-4o"), Provider::OpenAi);
    assert_eq!(
        api("model: openai/gpt-4o, api_base: 'https://api.openai.com/v1/'"),
        Provider::OpenAi
    );
    assert_eq!(api("model: openai/x, api_base: 'http://gpu'"), Provider::OpenAiCompatible);
    assert_eq!(api("model: groq/x"), Provider::OpenAiCompatible);
}

#[test]
fn a_provider_may_be_named_apart_from_the_model() {
    let of = |params: &str| {
        let one = deployment(&format!("{params}, api_base: 'https://a.example'"), &[]);
        (one.provider, one.api, one.model)
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(
        of("model: my-gpt, custom_llm_provider: azure"),
        (some("azure"), Provider::Azure, "my-gpt".into())
    );
    assert_eq!(
        of("model: openai/gpt-oss, custom_llm_provider: openai"),
        (some("openai"), Provider::OpenAiCompatible, "gpt-oss".into())
    );
    assert_eq!(
        of("model: azure/x, custom_llm_provider: hosted_vllm"),
        (some("hosted_vllm"), Provider::OpenAiCompatible, "azure/x".into())
    );
    assert_eq!(
        of("model: x, custom_llm_provider: mine"),
        (some("mine"), Provider::OpenAiCompatible, "x".into())
    );
}

#[test]
fn headers_are_sent_each_once_and_never_shown() {
    let one = deployment(
        "model: gpt-4o, extra_headers: {X-Team: 'sk-hidden a', x-number: 7}, headers: {x-team: b, other: c}, \
         default_headers: {Other: d}, organization: org-1",
        &[],
    );
    assert_eq!(header(&one, "x-team"), Some("sk-hidden a"));
    assert_eq!((header(&one, "x-number"), header(&one, "other")), (Some("7"), Some("c")));
    assert_eq!((header(&one, "openai-organization"), one.headers.len()), (Some("org-1"), 4));
    assert!(!format!("{one:?}").contains("sk-hidden"));
}

#[test]
fn the_environments_organization_goes_to_openai_only() {
    let environment = [("OPENAI_ORGANIZATION", "org-env")];
    let of = |params: &str| {
        header(&deployment(params, &environment), "openai-organization").map(str::to_owned)
    };
    assert_eq!(of("model: gpt-4o").as_deref(), Some("org-env"));
    assert_eq!(of("model: openai/gpt-4o, organization: org-1").as_deref(), Some("org-1"));
    assert_eq!(of("model: openai/gpt-4o, api_base: 'http://a.example'"), None);
    assert_eq!(of("model: groq/llama"), None);
}

#[test]
fn the_files_variables_go_before_the_environments() {
    let text = format!(
        "{}\nenvironment_variables: {{OPENAI_API_KEY: sk-of-file, N: 3, W: os.environ/COUNT}}",
        params("weight: os.environ/W, order: os.environ/N")
    );
    let one = &valid(&text).deployments[0];
    assert_eq!((key(one), one.weight, one.order), (Some("sk-of-file"), Some(7.0), Some(3)));
}

#[test]
fn a_bare_name_tells_whose_it_is() {
    for model in [
        "gpt-4o",
        "chatgpt-4o-latest",
        "o1",
        "o3-mini",
        "o4-mini",
        "text-embedding-3-small",
        "text-moderation-latest",
        "davinci-002",
        "babbage-002",
        "dall-e-3",
        "whisper-1",
        "tts-1",
        "ft:gpt-4o:me",
        "omni-moderation-latest",
        "computer-use-preview",
        "codex-mini-latest",
        "'gpt-*'",
    ] {
        let one = deployment(&format!("model: {model}, api_key: k"), &[]);
        assert_eq!((one.api, one.provider), (Provider::OpenAi, None), "{model}");
        assert_eq!(one.api_base, "https://api.openai.com/v1", "{model}");
    }
    let environment = [("OPENAI_API_KEY", "sk-openai"), ("ANTHROPIC_API_KEY", "sk-ant")];
    for model in ["claude-3-opus", "'claude-*'"] {
        let one = deployment(&format!("model: {model}"), &environment);
        assert_eq!((one.api, one.provider.as_deref()), (Provider::Anthropic, Some("anthropic")));
        assert_eq!((&*one.api_base, key(&one)), ("https://api.anthropic.com", Some("sk-ant")));
    }
}

#[test]
fn a_bare_name_with_an_address_goes_there() {
    let of = |model: &str| {
        let one =
            deployment(&format!("model: {model}, api_base: 'http://gpu/v1', api_key: k"), &[]);
        assert_eq!((&*one.model, &*one.api_base), (model, "http://gpu/v1"));
        one.api
    };
    assert_eq!(of("my-model"), Provider::OpenAiCompatible);
    assert_eq!(of("gpt-4o"), Provider::OpenAiCompatible);
    assert_eq!(of("claude-3-opus"), Provider::Anthropic);
}

#[test]
fn those_with_an_api_of_their_own_are_asked_for_openais_where_they_have_it() {
    for (provider, base, variable) in [
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GOOGLE_API_KEY"),
        ("cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
        ("cohere_chat", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
        ("codestral", "https://codestral.mistral.ai/v1", "CODESTRAL_API_KEY"),
        ("jina_ai", "https://api.jina.ai/v1", "JINA_AI_API_KEY"),
        ("voyage", "https://api.voyageai.com/v1", "VOYAGE_API_KEY"),
        (
            "dashscope",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "DASHSCOPE_API_KEY",
        ),
    ] {
        let one = deployment(&format!("model: {provider}/x"), &[(variable, "theirs")]);
        assert_eq!((&*one.api_base, key(&one)), (base, Some("theirs")), "{provider}");
        assert_eq!(one.api, Provider::OpenAiCompatible);
    }
}

#[test]
fn ollamas_address_is_without_the_version() {
    for name in ["ollama", "ollama_chat"] {
        for (given, base) in [
            ("", "http://localhost:11434/v1"),
            (", api_base: 'http://gpu:11434'", "http://gpu:11434/v1"),
            (", api_base: 'http://gpu:11434/'", "http://gpu:11434/v1"),
            (", api_base: 'http://gpu:11434/v1'", "http://gpu:11434/v1"),
        ] {
            let text = format!(
                "model_list: [{{model_name: c, litellm_params: {{model: {name}/x{given}}}}}]"
            );
            let config = valid(&text);
            assert_eq!(
                (&*config.deployments[0].api_base, config.warnings.len()),
                (base, 0),
                "{text}"
            );
        }
    }
    let environment = [("OLLAMA_API_BASE", "http://gpu:11434"), ("OLLAMA_API_KEY", "k")];
    let one = deployment("model: ollama/x", &environment);
    assert_eq!((&*one.api_base, key(&one)), ("http://gpu:11434/v1", Some("k")));
    let one = deployment("model: hosted_vllm/x, api_base: 'http://gpu:8000'", &[]);
    assert_eq!(one.api_base, "http://gpu:8000");
}
