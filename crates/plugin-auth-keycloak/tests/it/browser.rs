//! Somebody with a browser: follows redirects, keeps cookies, fills in the forms of providers.

use std::collections::BTreeMap;

use reqwest::{Client, Response, header, redirect};
use url::Url;

/// Pages until somebody gives up.
const MOST_PAGES: usize = 20;

pub(crate) struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
    user: &'static str,
    /// Whether the device's question is answered with yes.
    pub(crate) agrees: bool,
}

impl Browser {
    /// Of a user whose password is the name, as in the example.
    pub(crate) fn of(user: &'static str) -> Self {
        let http = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none());
        Self {
            http: http.build().unwrap(),
            cookies: BTreeMap::new(),
            user,
            agrees: true,
        }
    }

    /// Opens an address and does what the pages ask for; answers with the last one.
    pub(crate) async fn open(mut self, address: &str) -> String {
        let mut url = Url::parse(address).unwrap();
        let mut form = Vec::new();
        for _ in 0..MOST_PAGES {
            let response = self.ask(&url, &form).await;
            form.clear();
            if let Some(location) = response.headers().get(header::LOCATION) {
                url = url.join(location.to_str().unwrap()).unwrap();
                continue;
            }
            let page = response.text().await.unwrap();
            let Some(action) = attribute(&page, "<form", "action") else {
                return page;
            };
            form = self.fill_in(&page);
            url = url.join(&action).unwrap();
        }
        panic!("{url} does not come to an end");
    }

    async fn ask(&mut self, url: &Url, form: &[(String, String)]) -> Response {
        let request = match form {
            [] => self.http.get(url.clone()),
            form => self.http.post(url.clone()).form(form),
        };
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let request = request.header(header::COOKIE, cookies.join("; "));
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }

    /// What is hidden in the page's form, and what somebody would type.
    fn fill_in(&self, page: &str) -> Vec<(String, String)> {
        let mut fields: Vec<_> = page.split("<input").skip(1).filter_map(hidden).collect();
        let mut add = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
        for name in ["username", "login", "password"] {
            if page.contains(&format!("name=\"{name}\"")) {
                add(name, self.user);
            }
        }
        if page.contains("name=\"accept\"") {
            add(if self.agrees { "accept" } else { "cancel" }, "x");
        }
        assert!(!fields.is_empty(), "nobody knows what to do with {page}");
        fields
    }
}

/// Name and value of a field that nobody sees.
fn hidden(tag: &str) -> Option<(String, String)> {
    let tag = tag.split_once('>')?.0;
    let is_hidden = tag.contains("type=\"hidden\"");
    let (name, value) = (attribute(tag, "", "name")?, attribute(tag, "", "value")?);
    is_hidden.then_some((name, value))
}

/// An attribute that comes after `before`.
fn attribute(page: &str, before: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(before)?;
    let (_, rest) = rest.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&amp;", "&"))
}
