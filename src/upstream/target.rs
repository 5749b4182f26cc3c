use http::{Uri, uri::PathAndQuery};

use super::{Inner, headers::is_private_query};
use crate::trail::Captured;

impl Inner {
    /// Where requests for `path` go.
    pub(super) fn of_path(&self, path: &str) -> &Self {
        let tail = self.tail(path);
        let under = |path: &str| {
            tail.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.elsewhere.iter().find(|(path, _)| under(path)).map_or(self, |(_, other)| other)
    }

    /// The URL of a request that asks for `uri`, whose own scheme and host do not matter.
    pub(super) fn target(&self, uri: Uri, captured: Option<&Captured>) -> Uri {
        let asked = uri.into_parts().path_and_query;
        let asked = asked.unwrap_or_else(|| PathAndQuery::from_static("/"));
        // As OPTIONS may ask for: it stands for the server and has no path to add to.
        if asked == "*" {
            return self.base.with(asked);
        }
        let tail = self.tail(asked.path());
        let path = self.base.path(captured);
        let query_stays = self.query.is_empty() && (asked.query().is_none() || !self.hides_client);
        if path.is_empty() && tail.len() == asked.path().len() && query_stays {
            return self.base.with(asked);
        }
        let mut target = path.into_owned();
        if tail != "/" {
            target.push_str(tail);
        }
        if target.is_empty() {
            target.push('/');
        }
        if query_stays {
            target.extend(asked.query().into_iter().flat_map(|query| ["?", query]));
        } else {
            self.push_query(&mut target, asked.query().unwrap_or_default());
        }
        // Valid paths and pairs in a row make one.
        self.base.with(PathAndQuery::try_from(target).unwrap_or(asked))
    }

    /// The path asked for, without the prefix that the base has too.
    fn tail<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(&*self.prefix) {
            Some("") => "/",
            Some(tail) if tail.starts_with('/') => tail,
            _ => path,
        }
    }

    /// What the request asks for but for what is given here or not passed on, then what is given here.
    fn push_query(&self, target: &mut String, asked: &str) {
        let passes = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            let given = self.query.iter().any(|(there, _)| there == name);
            let hidden = self.hides_client && is_private_query(name);
            !(pair.is_empty() || given || hidden)
        };
        let mut separator = '?';
        for pair in asked.split('&').filter(passes) {
            target.push(separator);
            target.push_str(pair);
            separator = '&';
        }
        for (name, value) in &self.query {
            target.push(separator);
            target.extend([name, "=", value]);
            separator = '&';
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;
    use proptest::prelude::*;

    use crate::{trail::Captured, upstream::Upstream};

    fn target(upstream: &Upstream, asked: &str) -> String {
        let asked: Uri = asked.parse().unwrap();
        upstream.0.of_path(asked.path()).target(asked, None).to_string()
    }

    fn joined(base: &str, asked: &str) -> String {
        target(&Upstream::new(base).unwrap(), asked)
    }

    #[test]
    fn the_path_of_the_base_goes_before_the_path_of_the_request() {
        assert_eq!(joined("https://a.example", "/v1/chat?x=1"), "https://a.example/v1/chat?x=1");
        assert_eq!(joined("https://a.example/v1", "/chat?x=1"), "https://a.example/v1/chat?x=1");
        assert_eq!(joined("https://a.example/v1/", "/chat"), "https://a.example/v1/chat");
        assert_eq!(joined("http://a.example:8080/v1", "/"), "http://a.example:8080/v1");
        assert_eq!(joined("https://a.example/v1", "/?x=/1"), "https://a.example/v1?x=/1");
        assert_eq!(joined("https://a.example/v1", "/v1/chat"), "https://a.example/v1/v1/chat");
    }

    #[test]
    fn the_host_of_the_request_does_not_matter() {
        assert_eq!(
            joined("https://a.example/v1", "http://other.example/chat"),
            "https://a.example/v1/chat"
        );
    }

    #[test]
    fn a_prefix_that_the_base_has_too_is_not_sent_twice() {
        for (base, asked, sent) in [
            ("https://a.example/v1", "/v1/chat?x=1", "https://a.example/v1/chat?x=1"),
            ("https://a.example/v1", "/chat", "https://a.example/v1/chat"),
            ("https://a.example/v1", "/v1", "https://a.example/v1"),
            ("https://a.example/v1", "/v1beta/chat", "https://a.example/v1/v1beta/chat"),
            ("https://a.example/v1", "/v1/v1/chat", "https://a.example/v1/v1/chat"),
            ("https://a.example", "/v1/chat", "https://a.example/chat"),
            ("https://a.example", "/v1?x=1", "https://a.example/?x=1"),
        ] {
            let upstream = Upstream::new(base).unwrap().strip_prefix("/v1/");
            assert_eq!(target(&upstream, asked), sent, "{base} and {asked}");
        }
        let upstream = Upstream::new("https://a.example").unwrap().strip_prefix("");
        assert_eq!(target(&upstream, "/chat"), "https://a.example/chat");
    }

    #[test]
    fn its_query_joins_that_of_the_request_and_goes_before_it() {
        let upstream = Upstream::new("https://a.example/v1").unwrap();
        let upstream = upstream.query("api-version", "first").query("a b", "c&d=é");
        let upstream = upstream.query("api-version", "2024-10-21");
        let added = "a%20b=c%26d%3D%C3%A9&api-version=2024-10-21";
        for (asked, sent) in [
            ("/chat", format!("/chat?{added}")),
            ("/chat?", format!("/chat?{added}")),
            ("/?x", format!("?x&{added}")),
            ("/chat?x=1&api-version=mine&&y=%20", format!("/chat?x=1&y=%20&{added}")),
            ("/chat?xapi-version=mine", format!("/chat?xapi-version=mine&{added}")),
        ] {
            assert_eq!(target(&upstream, asked), format!("https://a.example/v1{sent}"), "{asked}");
        }
    }

    #[test]
    fn a_key_in_the_query_stays_behind_where_the_client_is_hidden() {
        let upstream = Upstream::new("https://a.example").unwrap();
        let asked = "/v1/messages?beta=true&key=hunter2&api_key=hunter2";
        assert_eq!(target(&upstream, asked), format!("https://a.example{asked}"));
        let upstream = upstream.hide_client(true);
        assert_eq!(target(&upstream, asked), "https://a.example/v1/messages?beta=true");
        assert_eq!(target(&upstream, "/v1/messages?key=1"), "https://a.example/v1/messages");
        assert_eq!(target(&upstream, "/v1/messages"), "https://a.example/v1/messages");
    }

    #[test]
    fn a_wildcard_in_the_path_stands_for_what_the_group_s_stood_for() {
        let upstream = Upstream::new("https://a.example/openai/deployments/x-*").unwrap();
        let captured = Captured::new(["4/o".into()]);
        let to = upstream.0.target("/chat".parse().unwrap(), Some(&captured));
        assert_eq!(to, "https://a.example/openai/deployments/x-4%2Fo/chat");
        assert_eq!(target(&upstream, "/chat"), "https://a.example/openai/deployments/x-*/chat");
    }

    #[cfg(feature = "llm")]
    #[test]
    fn some_paths_may_go_another_way() {
        let upstream = Upstream::new("https://a.example/openai/deployments/x").unwrap();
        let other = Upstream::new("https://a.example/o").unwrap();
        let upstream = upstream.elsewhere("/responses", &other).strip_prefix("/v1");
        for (asked, sent) in [
            ("/v1/responses", "/o/responses"),
            ("/responses/id?x=1", "/o/responses/id?x=1"),
            ("/responses-of", "/openai/deployments/x/responses-of"),
            ("/chat", "/openai/deployments/x/chat"),
        ] {
            assert_eq!(target(&upstream, asked), format!("https://a.example{sent}"), "{asked}");
        }
    }

    proptest! {
        /// A URL that could not be made would be the request's own, below another path and with our key.
        #[test]
        fn whatever_is_asked_for_goes_under_the_base(
            path in "(/v1)?(/[a-z.%*{}\"~-]{0,5}){0,4}",
            query in proptest::option::of("[a-z=&?/%_]{0,12}"),
            captured in proptest::option::of(any::<String>()),
            base in "(/[a-z*.]{1,4}){0,3}",
            hide in any::<bool>(),
            pairs in proptest::collection::vec((any::<String>(), any::<String>()), 0..2),
        ) {
            let asked = match &query {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            let Ok(asked) = format!("http://other.example{asked}").parse::<Uri>() else {
                return Ok(());
            };
            let mut upstream = Upstream::new(&format!("https://a.example/base{base}")).unwrap();
            upstream = upstream.strip_prefix("/v1").hide_client(hide);
            for (name, value) in &pairs {
                upstream = upstream.query(name, value);
            }
            let captured = captured.map(|text| Captured::new([text.into()]));
            let target = upstream.0.target(asked, captured.as_ref());
            prop_assert_eq!(target.authority().unwrap(), "a.example");
            prop_assert!(target.path().starts_with("/base"), "{}", target);
            let segments = |path: &str| path.matches('/').count();
            prop_assert!(segments(target.path()) > segments(&base), "{}", target);
            let given = target.query().unwrap_or_default().split('&').filter(|it| it.contains('='));
            prop_assert!(given.count() >= upstream.0.query.len(), "{}", target);
        }
    }
}
