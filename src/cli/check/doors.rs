//! What comes in: the web address gateways report to, and the place bounces
//! come back to.

use super::Item;
use super::items::REACH_LIMIT;
use crate::app::maildir::unreadable;
use crate::config::Config;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use tokio::net::TcpStream;

const WEB: &str = "web";
const BOUNCES: &str = "bounces";

/// Whether anybody answers at the address of `[web]`.
pub async fn web(config: &Config, offline: bool) -> Item {
    let Some(web) = &config.web else {
        return match config.sms_hook {
            None => Item::ok(WEB, "no address is configured ([web] listen)"),
            Some(_) => Item::warn(
                WEB,
                "no address is configured ([web] listen): what the SMS gateway reports and what \
                 customers text back, STOP too, does not come in",
            )
            .cure("docs/sms.md says how to set it up"),
        };
    };
    let at = web.listen;
    if config.sms_hook.is_none() && !config.policy.sms.enabled {
        let says = format!("{at} is configured, but only SMS gateways report there, and none is");
        return Item::warn(WEB, says).cure("take [web] out, or set up [sms]");
    }
    let outside = match &web.public_url {
        Some(url) => format!("{at}, {url} outside"),
        None => at.to_string(),
    };
    if offline {
        return Item::ok(WEB, format!("{outside}: configured, not tried (--offline)"));
    }
    match tokio::time::timeout(REACH_LIMIT, TcpStream::connect(reachable(at))).await {
        Ok(Ok(_)) => Item::ok(WEB, format!("{outside}: somebody answers")),
        Ok(Err(_)) | Err(_) => Item::warn(
            WEB,
            format!("{outside}: nobody answers, so what gateways report is lost or comes later"),
        )
        .cure("backorderd serve answers there"),
    }
}

/// Where a server that listens everywhere can be asked from this machine.
fn reachable(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, at.port())
}

/// Whether the Maildir of bounces can be used.
pub fn bounces(config: &Config) -> Item {
    let Some(maildir) = &config.bounce_maildir else {
        return Item::ok(
            BOUNCES,
            "no Maildir; the mail system has to hand them over (docs/bounces.md)",
        );
    };
    let shown = maildir.display();
    let cure = "let the user of the service read and write the Maildir and its files";
    for folder in ["new", "cur"] {
        let path = maildir.join(folder);
        if !path.is_dir() {
            let says = format!("{shown} is no Maildir: there is no folder {folder} in it");
            return Item::fail(BOUNCES, says)
                .cure("the mail system makes one with the first mail, or: mkdir -p new cur tmp");
        }
        if !can_write(&path) {
            return Item::fail(BOUNCES, format!("{} cannot be written", path.display())).cure(cure);
        }
    }
    match unreadable(maildir).as_slice() {
        [] => Item::ok(BOUNCES, format!("{shown} can be read and written")),
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                n => format!(", and {n} more"),
            };
            Item::fail(BOUNCES, format!("{first}{more}")).cure(cure)
        }
    }
}

fn can_write(folder: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = std::ffi::CString::new(folder.as_os_str().as_bytes()) else {
        return false;
    };
    rustix::fs::access(path.as_c_str(), rustix::fs::Access::WRITE_OK).is_ok()
}
