//! The providers LiteLLM names before the `/` of a model: what they speak, and where those are that
//! anyone can reach.

use crate::llm::Provider;

/// A provider, as far as it matters here.
pub(super) enum Named {
    /// Speaks OpenAI's API, or Anthropic's, at a public address.
    Hosted(&'static Hosted),
    /// Azure's OpenAI, at an address of your own.
    Azure,
    /// Speaks OpenAI's API at an address of your own.
    Compatible,
    /// Speaks another API at its own address.
    Foreign,
    /// Nobody says who it is.
    Unknown,
}

/// A public address.
pub(super) struct Hosted {
    name: &'static str,
    pub(super) api: Provider,
    pub(super) api_base: &'static str,
    /// Environment variables in which LiteLLM looks for another address, in this order.
    pub(super) base_variables: &'static [&'static str],
    /// Environment variables in which LiteLLM looks for a key, in this order.
    pub(super) key_variables: &'static [&'static str],
    /// Whether it answers to those with a key alone.
    pub(super) wants_key: bool,
}

const fn hosted(
    name: &'static str,
    api_base: &'static str,
    key_variables: &'static [&'static str],
) -> Hosted {
    Hosted {
        name,
        api: Provider::OpenAiCompatible,
        api_base,
        base_variables: &[],
        key_variables,
        wants_key: true,
    }
}

const fn ollama(name: &'static str) -> Hosted {
    Hosted {
        base_variables: &["OLLAMA_API_BASE"],
        wants_key: false,
        ..hosted(name, "http://localhost:11434/v1", &["OLLAMA_API_KEY"])
    }
}

static OPENAI: Hosted = Hosted {
    api: Provider::OpenAi,
    base_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    ..hosted("openai", "https://api.openai.com/v1", &["OPENAI_API_KEY"])
};

static ANTHROPIC: Hosted = Hosted {
    api: Provider::Anthropic,
    base_variables: &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
    ..hosted("anthropic", "https://api.anthropic.com", &["ANTHROPIC_API_KEY"])
};

static HOSTED: &[Hosted] = &[
    hosted("cerebras", "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"]),
    hosted("codestral", "https://codestral.mistral.ai/v1", &["CODESTRAL_API_KEY"]),
    hosted("cohere", "https://api.cohere.ai/compatibility/v1", &["COHERE_API_KEY", "CO_API_KEY"]),
    hosted(
        "cohere_chat",
        "https://api.cohere.ai/compatibility/v1",
        &["COHERE_API_KEY", "CO_API_KEY"],
    ),
    hosted(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["DASHSCOPE_API_KEY"],
    ),
    hosted("deepinfra", "https://api.deepinfra.com/v1/openai", &["DEEPINFRA_API_KEY"]),
    hosted("deepseek", "https://api.deepseek.com/v1", &["DEEPSEEK_API_KEY"]),
    hosted(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
    ),
    hosted(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
    ),
    hosted("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"]),
    hosted("hyperbolic", "https://api.hyperbolic.xyz/v1", &["HYPERBOLIC_API_KEY"]),
    hosted("jina_ai", "https://api.jina.ai/v1", &["JINA_AI_API_KEY", "JINA_AI_TOKEN"]),
    hosted("mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"]),
    hosted("moonshot", "https://api.moonshot.ai/v1", &["MOONSHOT_API_KEY"]),
    hosted("novita", "https://api.novita.ai/v3/openai", &["NOVITA_API_KEY"]),
    hosted("nvidia_nim", "https://integrate.api.nvidia.com/v1", &["NVIDIA_NIM_API_KEY"]),
    ollama("ollama"),
    ollama("ollama_chat"),
    hosted("openrouter", "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY", "OR_API_KEY"]),
    hosted(
        "perplexity",
        "https://api.perplexity.ai",
        &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
    ),
    hosted("sambanova", "https://api.sambanova.ai/v1", &["SAMBANOVA_API_KEY"]),
    hosted(
        "together_ai",
        "https://api.together.xyz/v1",
        &["TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"],
    ),
    hosted(
        "voyage",
        "https://api.voyageai.com/v1",
        &["VOYAGE_API_KEY", "VOYAGE_AI_API_KEY", "VOYAGE_AI_TOKEN"],
    ),
    hosted("xai", "https://api.x.ai/v1", &["XAI_API_KEY"]),
];

/// Speak OpenAI's API, but run where you run them, or at an address that is not certain enough to
/// be written down.
#[rustfmt::skip]
const COMPATIBLE: &[&str] = &[
    "aiml", "anyscale", "baseten", "cometapi", "custom_openai", "docker_model_runner",
    "empower", "featherless_ai", "friendliai", "galadriel", "github", "helicone", "hosted_vllm",
    "inception", "lambda_ai", "litellm_proxy", "llamafile", "lm_studio", "meta_llama", "minimax",
    "modelscope", "morph", "nano-gpt", "nebius", "nscale", "openai_like", "ovhcloud", "poe",
    "publicai", "scaleway", "synthetic", "tencent", "text-completion-openai", "v0",
    "vercel_ai_gateway", "volcengine", "wandb", "xinference", "zai",
];

/// Speak another API, or OpenAI's behind paths or credentials of their own. Some have OpenAI's too, at the address in
/// [`HOSTED`], while LiteLLM asks them for theirs.
#[rustfmt::skip]
const FOREIGN: &[&str] = &[
    "ai21", "ai21_chat", "anthropic_text", "assemblyai", "aws_polly", "azure_ai",
    "bedrock", "black_forest_labs", "chatgpt", "clarifai", "cloudflare",
    "cohere", "cohere_chat", "databricks", "datarobot", "deepgram", "elevenlabs",
    "fal_ai", "gemini", "gigachat", "github_copilot", "gradient_ai", "heroku", "huggingface",
    "infinity", "langgraph", "lemonade", "maritalk", "nlp_cloud", "oci",
    "oobabooga", "petals", "predibase", "recraft", "replicate", "runwayml",
    "sagemaker", "sagemaker_chat", "sap", "snowflake", "stability", "text-completion-codestral",
    "triton", "vertex_ai", "vertex_ai_beta", "vllm", "watsonx", "watsonx_text",
];

impl Named {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        if let Some(hosted) = [&OPENAI, &ANTHROPIC].into_iter().find(|it| it.name == name) {
            Some(Self::Hosted(hosted))
        } else if matches!(name, "azure" | "azure_text") {
            Some(Self::Azure)
        } else if let Some(hosted) = HOSTED.iter().find(|hosted| hosted.name == name) {
            Some(Self::Hosted(hosted))
        } else if COMPATIBLE.contains(&name) {
            Some(Self::Compatible)
        } else {
            FOREIGN.contains(&name).then_some(Self::Foreign)
        }
    }

    /// Whose a model without a provider is, as far as its name tells; and the provider's name, which OpenAI's models
    /// do without. What has an address speaks OpenAI's API there.
    pub(super) fn of_bare(model: &str, has_base: bool) -> (Self, Option<&'static str>) {
        /// What the names of OpenAI's models begin with.
        const OPENAIS: &[&str] = &[
            "babbage",
            "chatgpt-",
            "codex",
            "computer-use",
            "dall-e",
            "davinci",
            "ft:",
            "gpt-",
            "o1",
            "o3",
            "o4",
            "omni-",
            "text-embedding-",
            "text-moderation",
            "tts-",
            "whisper",
        ];
        if model.starts_with("claude") {
            (Self::Hosted(&ANTHROPIC), Some(ANTHROPIC.name))
        } else if has_base || OPENAIS.iter().any(|start| model.starts_with(start)) {
            (Self::Hosted(&OPENAI), None)
        } else {
            (Self::Unknown, None)
        }
    }

    /// Whether LiteLLM asks this provider for an API that is not spoken here.
    pub(super) fn is_foreign(name: &str) -> bool {
        FOREIGN.contains(&name)
    }

    /// The address to use where the file, or the environment, gives this one: LiteLLM's is Ollama's own.
    pub(super) fn address(&self, given: String) -> String {
        let ollama =
            matches!(self, Self::Hosted(it) if matches!(it.name, "ollama" | "ollama_chat"));
        if ollama && !given.is_empty() && !given.ends_with("/v1") {
            return format!("{given}/v1");
        }
        given
    }

    /// Whose API is spoken at `api_base`. What calls itself `openai` elsewhere is some server that speaks it too.
    pub(super) fn api(&self, api_base: &str) -> Provider {
        match self {
            Self::Hosted(hosted)
                if hosted.api == Provider::OpenAi && hosted.api_base != api_base =>
            {
                Provider::OpenAiCompatible
            }
            Self::Hosted(hosted) => hosted.api,
            Self::Azure => Provider::Azure,
            Self::Compatible | Self::Foreign | Self::Unknown => Provider::OpenAiCompatible,
        }
    }

    /// Splits `groq/llama-3` into the provider, its name and the model; `None` when the part before
    /// the first `/` is no provider's name, as in `meta-llama/Llama-3`.
    pub(super) fn split(model: &str) -> Option<(Self, &str, &str)> {
        let (name, model) = model.split_once('/')?;
        Some((Self::of_name(name)?, name, model))
    }
}
