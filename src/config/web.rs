//! The daemon's own web address: where gateways report to.

use super::forms::parsed;
use super::meant::WebSettings;
use super::reader::Reader;
use super::units::Wrong;
use std::net::SocketAddr;

pub fn read(reader: &Reader) -> Option<WebSettings> {
    let section = reader.section("web");
    let listen = section.maybe("listen", parsed(listen));
    let public_url = section.maybe("public_url", parsed(public_url));
    if section.entry("public_url").is_some() {
        let place = section.place("public_url");
        section.need("listen", &place, "\"127.0.0.1:8025\"");
    }
    Some(WebSettings {
        listen: listen?,
        public_url,
    })
}

fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new(
            format!("`{text}` is not an address with a port"),
            "write it like \"127.0.0.1:8025\"; 0.0.0.0 is every address of this machine",
        )
    })
}

/// Without a slash at the end: paths are put behind it.
fn public_url(text: &str) -> Result<String, Wrong> {
    let cure = "write it like \"https://shop.example/backorderd\"";
    let url = reqwest::Url::parse(text)
        .map_err(|_| Wrong::new("this is not the address of a web page", cure))?;
    let is_web = matches!(url.scheme(), "https" | "http");
    if !is_web || url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("this is not the address of a web page", cure));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("a login must not stand in an address", cure));
    }
    Ok(text.trim_end_matches('/').to_owned())
}
