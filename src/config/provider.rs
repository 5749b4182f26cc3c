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
}

const fn hosted(
    name: &'static str,
    api_base: &'static str,
    key_variables: &'static [&'static str],
) -> Hosted {
    Hosted { name, api: Provider::OpenAiCompatible, api_base, base_variables: &[], key_variables }
}

/// Where a model without a provider goes.
pub(super) static OPENAI: Hosted = Hosted {
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
    hosted("deepinfra", "https://api.deepinfra.com/v1/openai", &["DEEPINFRA_API_KEY"]),
    hosted("deepseek", "https://api.deepseek.com/v1", &["DEEPSEEK_API_KEY"]),
    hosted(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
    ),
    hosted("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"]),
    hosted("hyperbolic", "https://api.hyperbolic.xyz/v1", &["HYPERBOLIC_API_KEY"]),
    hosted("mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"]),
    hosted("moonshot", "https://api.moonshot.ai/v1", &["MOONSHOT_API_KEY"]),
    hosted("novita", "https://api.novita.ai/v3/openai", &["NOVITA_API_KEY"]),
    hosted("nvidia_nim", "https://integrate.api.nvidia.com/v1", &["NVIDIA_NIM_API_KEY"]),
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
    hosted("xai", "https://api.x.ai/v1", &["XAI_API_KEY"]),
];

/// Speak OpenAI's API, but run where you run them, or at an address that is not certain enough to
/// be written down.
#[rustfmt::skip]
const COMPATIBLE: &[&str] = &[
    "aiml", "anyscale", "baseten", "cometapi", "custom_openai", "dashscope", "docker_model_runner",
    "empower", "featherless_ai", "friendliai", "galadriel", "github", "helicone", "hosted_vllm",
    "inception", "lambda_ai", "litellm_proxy", "llamafile", "lm_studio", "meta_llama", "minimax",
    "modelscope", "morph", "nano-gpt", "nebius", "nscale", "openai_like", "ovhcloud", "poe",
    "publicai", "scaleway", "synthetic", "tencent", "text-completion-openai", "v0",
    "vercel_ai_gateway", "volcengine", "wandb", "xinference", "zai",
];

/// Speak another API, or OpenAI's behind paths or credentials of their own.
#[rustfmt::skip]
const FOREIGN: &[&str] = &[
    "ai21", "ai21_chat", "anthropic_text", "assemblyai", "aws_polly", "azure_ai",
    "bedrock", "black_forest_labs", "chatgpt", "clarifai", "cloudflare",
    "codestral", "cohere", "cohere_chat", "databricks", "datarobot", "deepgram", "elevenlabs",
    "fal_ai", "gemini", "gigachat", "github_copilot", "gradient_ai", "heroku", "huggingface",
    "infinity", "jina_ai", "langgraph", "lemonade", "maritalk", "nlp_cloud", "oci", "ollama",
    "ollama_chat", "oobabooga", "petals", "predibase", "recraft", "replicate", "runwayml",
    "sagemaker", "sagemaker_chat", "sap", "snowflake", "stability", "text-completion-codestral",
    "triton", "vertex_ai", "vertex_ai_beta", "vllm", "voyage", "watsonx", "watsonx_text",
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
            Self::Compatible | Self::Foreign => Provider::OpenAiCompatible,
        }
    }

    /// Splits `groq/llama-3` into the provider, its name and the model; `None` when the part before
    /// the first `/` is no provider's name, as in `meta-llama/Llama-3`.
    pub(super) fn split(model: &str) -> Option<(Self, &str, &str)> {
        let (name, model) = model.split_once('/')?;
        Some((Self::of_name(name)?, name, model))
    }
}
