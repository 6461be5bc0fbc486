//! Images: which there are, and fetching one.

use super::config::{self, Engine};
use super::failure::Failure;
use super::{Link, values};
use crate::provider::Call;
use crate::providers::arguments::{Arguments, limited, not_fitting};
use crate::value::{Reason, Value};
use bollard::auth::DockerCredentials;
use bollard::models::ImageInspect;
use bollard::query_parameters::{CreateImageOptions, ListImagesOptions};
use std::collections::HashMap;
use std::pin::pin;

/// Longest name of an image, in bytes.
const NAME_BYTES: usize = 255;

/// The name of one image: with a tag or a digest, because without one the engine would fetch every tag there is.
fn name(text: &str) -> Result<&str, Failure> {
    let wrong = |words: &str| Err(Failure::definite(Reason::Unparsable, format!("`name` {words}")));
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b'@'));
    if text.is_empty() || text.len() > NAME_BYTES || !plain || text.starts_with(['/', '-']) || text.contains("..") {
        return wrong("is not the name of an image");
    }
    let last = text.rsplit('/').next().unwrap_or(text);
    match last.split_once(':') {
        Some((_, tag)) if !tag.is_empty() => Ok(text),
        _ => wrong("has neither a tag nor a digest: it would be every image of that name"),
    }
}

/// `images.list`
pub async fn list(link: &Link, call: &Call) -> Result<Value, Failure> {
    let arguments = Arguments(call);
    let at_most = arguments.limit("at_most", 10_000)?;
    let dangling = match call.arg("dangling") {
        Value::None => None,
        Value::Bool(dangling) => Some(*dangling),
        _ => return Err(not_fitting("dangling").into()),
    };
    let options = ListImagesOptions {
        filters: dangling.map(|dangling| HashMap::from([("dangling".to_owned(), vec![dangling.to_string()])])),
        ..ListImagesOptions::default()
    };
    let found = link.wait(link.client.list_images(Some(options)), false).await?;
    let engine = call.arg("engine");
    let items = found
        .into_iter()
        .map(|image| {
            let created = jiff::Timestamp::from_second(image.created).ok();
            values::image(
                engine,
                &image.id,
                &image.repo_tags,
                Some(image.size),
                created.filter(|time| time.as_second() > 0),
            )
        })
        .collect();
    Ok(limited(items, at_most))
}

/// The login at the registry that an image comes from, if the configuration has one. The secret is read now.
fn login(engine: &Engine, image: &str) -> Result<Option<DockerCredentials>, Failure> {
    let host = config::registry(image);
    let Some(registry) = engine.registries.get(host) else {
        return Ok(None);
    };
    let password = registry.password.read().map_err(|problem| {
        Failure::definite(
            Reason::Unavailable,
            format!("the password for the registry {host}: {problem}"),
        )
    })?;
    Ok(Some(DockerCredentials {
        username: Some(registry.user.clone()),
        password: Some(password.expose().to_owned()),
        serveraddress: Some(host.to_owned()),
        ..DockerCredentials::default()
    }))
}

/// `images.pull`
pub async fn pull(link: &Link, engine: &Engine, call: &Call) -> Result<Value, Failure> {
    let name = name(Arguments(call).text("name")?)?;
    let login = login(engine, name)?;
    let options = CreateImageOptions {
        from_image: Some(name.to_owned()),
        ..CreateImageOptions::default()
    };
    let mut steps = pin!(link.client.create_image(Some(options), None, login));
    // What was fetched so far is not shown: only that it has ended.
    while link.next(&mut steps, true).await?.is_some() {}
    let found = link.wait(link.client.inspect_image(name), false).await;
    let found: ImageInspect = found.map_err(Failure::after_sending)?;
    Ok(values::image(
        call.arg("engine"),
        found.id.as_deref().unwrap_or_default(),
        &found.repo_tags.unwrap_or_default(),
        found.size,
        values::moment(found.created.as_deref()),
    ))
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_name_is_of_one_image() {
        for good in [
            "nginx:1.27",
            "registry.example.org:5000/shop/api:v2",
            "shop/api@sha256:0123",
        ] {
            assert_eq!(name(good).unwrap(), good);
        }
        for bad in [
            "",
            "nginx",
            "nginx:",
            "registry.example.org:5000/shop/api",
            "a b:1",
            "../x:1",
            "x:1?fromSrc=-",
            "-x:1",
            "/x:1",
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
