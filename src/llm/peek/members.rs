use super::{Literal, Problem, TWICE};

macro_rules! members {
    ($($member:ident $name:literal,)*) => {
        /// A member of a body that is read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Member {
            $($member,)*
        }

        impl Member {
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$member => $name,)*
                }
            }

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$member),)*
                    _ => None,
                }
            }
        }
    };
}

members! {
    Model "model",
    Stream "stream",
    StreamOptions "stream_options",
    MaxTokens "max_tokens",
    MaxCompletionTokens "max_completion_tokens",
    MaxOutputTokens "max_output_tokens",
    User "user",
    Metadata "metadata",
    Tags "tags",
    Fallbacks "fallbacks",
    DisableFallbacks "disable_fallbacks",
    NumRetries "num_retries",
    Timeout "timeout",
    StreamTimeout "stream_timeout",
    Priority "priority",
    AllowedModelRegion "allowed_model_region",
    Messages "messages",
    Input "input",
    Prompt "prompt",
    System "system",
    Instructions "instructions",
    Suffix "suffix",
    Tools "tools",
    Functions "functions",
    PreviousResponseId "previous_response_id",
    PromptCacheKey "prompt_cache_key",
    RoutingStrategy "routing_strategy",
}

impl Member {
    /// The member of this name, however it is written.
    pub(super) fn of(name: Literal<'_>) -> Option<Self> {
        Self::named(&name.text()?)
    }

    /// Whether its text is input of the model.
    pub(super) const fn is_prompt(self) -> bool {
        matches!(
            self,
            Self::Messages
                | Self::Input
                | Self::Prompt
                | Self::System
                | Self::Instructions
                | Self::Suffix
        )
    }

    /// Whether all of it is input of the model.
    pub(super) const fn is_tools(self) -> bool {
        matches!(self, Self::Tools | Self::Functions)
    }

    /// Whether it is meant for a router and no deployment knows it.
    pub(super) const fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Tags
                | Self::Fallbacks
                | Self::DisableFallbacks
                | Self::NumRetries
                | Self::Timeout
                | Self::StreamTimeout
                | Self::Priority
                | Self::AllowedModelRegion
                | Self::RoutingStrategy
        )
    }
}

/// Members that LiteLLM's proxy alone knows; as are all that begin with [`MOCK_TESTING`].
pub(in crate::llm) const FOR_PROXY: &[&str] = &[
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "user_api_key",
    "extra_headers",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "model_group_retry_policy",
    "retry_policy",
    "cooldown_time",
    "specific_deployment",
    "mock_response",
    "mock_timeout",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "azure_ad_token",
    "client_secret",
    "custom_llm_provider",
    "litellm_credential_name",
    "litellm_params",
    "model_list",
    "request_timeout",
    "secret_fields",
    "user_config",
    "vertex_credentials",
    "include_fallback_errors",
    "enable_tag_filtering",
    "litellm_metadata",
    "litellm_session_id",
    "litellm_trace_id",
    "litellm_call_id",
    "litellm_logging_obj",
    "cache",
    "caching",
    "guardrails",
    "max_retries",
    "no-log",
    "proxy_server_request",
];
pub(in crate::llm) const MOCK_TESTING: &str = "mock_testing_";

/// Whether a member of this name, which is not read, is meant for LiteLLM's proxy, such as a caller's own key: no
/// deployment is to see it.
pub(super) fn is_for_proxy(name: Literal<'_>) -> bool {
    let Some(name) = name.text() else { return false };
    FOR_PROXY.contains(&&*name) || name.starts_with(MOCK_TESTING)
}

/// The members met so far: of two with one name another reader may take the other.
#[derive(Debug, Default)]
pub(super) struct Seen(u32);

impl Seen {
    pub(super) fn once(&mut self, member: Member) -> Result<(), Problem> {
        let bit = 1 << member as u32;
        if self.0 & bit != 0 {
            return Err(Problem::member(member.name(), TWICE));
        }
        self.0 |= bit;
        Ok(())
    }
}
