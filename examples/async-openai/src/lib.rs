//! async-openai over a fleet, with no server in between.
//!
//! Its feature `middleware` takes any Tower service as its transport. What it hands over makes a request of reqwest's
//! types, which is as good as one of the `http` crate's; so the whole fleet goes below it, over whatever client you have.

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    middleware::HttpRequestFactory,
    types::{
        chat::{
            ChatCompletionRequestUserMessage, CreateChatCompletionRequest,
            CreateChatCompletionRequestArgs,
        },
        embeddings::CreateEmbeddingRequestArgs,
    },
};
use futures_util::TryStreamExt;
use http::Request;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_fleet::{
    BoxError, Error,
    body::ReplayBody,
    config::Config,
    error::{Refused, RefusedReason},
    llm::{InspectLayer, RewrittenBody},
};

mod provider;

/// A client whose requests go to the fleet of `config`, each to the group that its model names.
///
/// The key and the address it is given say nothing, as every deployment has its own.
///
/// # Errors
///
/// A fleet that cannot be built.
pub fn client(
    config: &Config,
    http: HttpClient<HttpConnector, RewrittenBody<ReplayBody>>,
) -> Result<Client<OpenAIConfig>, BoxError> {
    let fleet =
        ServiceBuilder::new().layer(InspectLayer::new()).service(config.fleet()?.layer(http));
    let transport = service_fn(move |factory: HttpRequestFactory| {
        let fleet = fleet.clone();
        async move {
            let request: Request<reqwest::Body> = factory.build().await?.try_into()?;
            let response = fleet.oneshot(request).await.map_err(BoxError::from)?;
            Ok::<_, OpenAIError>(response.map(reqwest::Body::wrap).into())
        }
    });
    let config = OpenAIConfig::new().with_api_base("http://fleet").with_api_key("none");
    Ok(Client::with_config(config).with_http_service(transport))
}

/// Asks three servers, of which one is gone and one has no more to give.
///
/// # Panics
///
/// When what it shows is not so.
pub async fn run() -> Result<(), BoxError> {
    let spent = provider::serve("spent").await?;
    let well = provider::serve("well").await?;
    // The listener is dropped at once, so connections to it are refused.
    let gone = format!("http://{}", TcpListener::bind("127.0.0.1:0").await?.local_addr()?);
    let config = Config::from_yaml(&format!(
        "
model_list:
- model_name: chat
  litellm_params: {{model: openai/gone, api_base: {gone}, api_key: key-of-gone, order: 1}}
- model_name: chat
  litellm_params: {{model: openai/spent, api_base: {spent}, api_key: key-of-spent, order: 2}}
- model_name: chat
  litellm_params: {{model: openai/well, api_base: {well}, api_key: key-of-well, order: 3}}
"
    ))?;
    let http = HttpClient::builder(TokioExecutor::new()).build_http();
    let client = client(&config, http)?;

    let answer = client.chat().create(question("chat")?).await?;
    let said = answer.choices[0].message.content.as_deref().unwrap_or_default();
    println!("{} answered {said:?}", answer.model);
    assert_eq!((&*answer.model, said), ("well", "Hello!"));
    assert_eq!(answer.usage.map(|usage| usage.total_tokens), Some(11));

    let mut stream = client.chat().create_stream(question("chat")?).await?;
    let mut words = Vec::new();
    while let Some(chunk) = stream.try_next().await? {
        words.extend(chunk.choices.into_iter().filter_map(|choice| choice.delta.content));
    }
    println!("streamed {words:?}");
    assert_eq!(words, ["Hel", "lo", "!"]);

    let request = CreateEmbeddingRequestArgs::default().model("chat").input("Hello").build()?;
    let embeddings = client.embeddings().create(request).await?;
    println!("embedded as {:?}", embeddings.data[0].embedding);
    assert_eq!(embeddings.data[0].embedding, [0.25, -0.5]);

    // What a deployment says is wrong is async-openai's own error, ...
    let too_hot = CreateChatCompletionRequest { temperature: Some(9.0), ..question("chat")? };
    let Err(OpenAIError::ApiError(error)) = client.chat().create(too_hot).await else {
        return Err("a temperature of 9 should be refused".into());
    };
    println!("refused by the deployment: {error}");
    assert_eq!(
        (error.status_code.as_u16(), error.api_error.param.as_deref()),
        (400, Some("temperature"))
    );

    // ... and what the fleet says is the fleet's.
    let Err(OpenAIError::Boxed(error)) = client.chat().create(question("other")?).await else {
        return Err("a model that nobody serves should be refused".into());
    };
    println!("refused by the fleet: {error}");
    let reason = error.downcast_ref::<Error>().and_then(Error::as_refused).map(Refused::reason);
    assert_eq!(reason, Some(RefusedReason::UnknownGroup));
    Ok(())
}

fn question(model: &str) -> Result<CreateChatCompletionRequest, OpenAIError> {
    CreateChatCompletionRequestArgs::default()
        .model(model)
        .messages([ChatCompletionRequestUserMessage::from("Hello?").into()])
        .build()
}
