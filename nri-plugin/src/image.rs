//! What the content of an image says: the id of its configuration, and which snapshot holds all its layers.
//!
//! `ctr`'s and nerdctl's containers name their image by a tag, which may mean another one by now. The snapshot a container
//! runs on is named after the layers below it, and so says which image it was.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Manifests of an index that are looked at, at most.
const MANIFESTS: usize = 16;

/// An image of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The digest of its configuration (`sha256:…`): what runtimes call its id.
    pub(crate) id: String,
    /// The name of the snapshot of all its layers.
    layers: String,
}

impl Image {
    /// Reads a configuration that has this digest; `None` when it names no layers.
    pub(crate) fn read(id: String, configuration: &[u8]) -> Option<Image> {
        let configuration: Value = serde_json::from_slice(configuration).ok()?;
        let layers: Option<Vec<&str>> = configuration
            .pointer("/rootfs/diff_ids")?
            .as_array()?
            .iter()
            .map(Value::as_str)
            .collect();
        let layers = chain(&layers?)?;
        Some(Image { id, layers })
    }
}

/// The name of the snapshot of these layers, the lowest first.
fn chain(layers: &[&str]) -> Option<String> {
    let (first, others) = layers.split_first()?;
    Some(others.iter().fold((*first).to_owned(), |below, layer| {
        let digest = Sha256::digest(format!("{below} {layer}"));
        digest.iter().fold("sha256:".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }))
}

/// What the digest of an image stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// One platform's; the digest of its configuration.
    One(String),
    /// The digests of the manifests of several platforms, this one's first.
    Several(Vec<String>),
}

impl Manifest {
    /// `None` when it is neither.
    pub(crate) fn read(content: &[u8]) -> Option<Manifest> {
        let content: Value = serde_json::from_slice(content).ok()?;
        let digest = |of: &Value| Some(of.get("digest")?.as_str()?.to_owned());
        if let Some(configuration) = content.get("config") {
            return digest(configuration).map(Manifest::One);
        }
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let is_own = |manifest: &Value| {
            let of = |key: &str| manifest.pointer(key).and_then(Value::as_str);
            of("/platform/architecture") == Some(architecture) && of("/platform/os") == Some("linux")
        };
        let (mut manifests, others): (Vec<&Value>, Vec<&Value>) = content
            .get("manifests")?
            .as_array()?
            .iter()
            .partition(|manifest| is_own(manifest));
        manifests.extend(others);
        let digests = manifests.into_iter().filter_map(digest);
        Some(Manifest::Several(digests.take(MANIFESTS).collect()))
    }
}

/// Which image a container is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Of<'a> {
    /// This one.
    Image(&'a Image),
    /// One of another name by now: none of these has the layers that the container runs on.
    Another,
    /// That can't be said.
    Unknown,
}

/// Which of `images`, those that the container's reference means now, it is of. `below` is the name of the snapshot that its own is
/// made on, where that is known.
pub(crate) fn which<'a>(images: &'a [Image], below: Option<&str>) -> Of<'a> {
    // A name that is none of layers says nothing; with mapped users it has more behind it.
    let Some(below) = below.filter(|below| below.starts_with("sha256:")) else {
        return images.first().map_or(Of::Unknown, Of::Image);
    };
    match images.iter().find(|image| below.starts_with(&image.layers)) {
        Some(image) => Of::Image(image),
        None if images.is_empty() => Of::Unknown,
        None => Of::Another,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, layers: &[&str]) -> Image {
        let layers: Vec<String> = layers.iter().map(|layer| format!("\"{layer}\"")).collect();
        let json = format!(r#"{{"rootfs":{{"diff_ids":[{}]}}}}"#, layers.join(","));
        Image::read(id.into(), json.as_bytes()).unwrap()
    }

    #[test]
    fn a_snapshot_is_named_after_all_layers_below_it() {
        assert_eq!(image("x", &["sha256:a"]).layers, "sha256:a");
        // printf '%s' 'sha256:a sha256:b' | sha256sum
        assert_eq!(
            image("x", &["sha256:a", "sha256:b"]).layers,
            "sha256:970a948bffa8de94d6e22d747ba8c95030e6e546909f98f54e99a13005e173a8"
        );
        for none in [
            "{}",
            "",
            r#"{"rootfs":{"diff_ids":[]}}"#,
            r#"{"rootfs":{"diff_ids":[7]}}"#,
        ] {
            assert_eq!(Image::read("x".into(), none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn a_container_is_of_the_image_whose_layers_it_runs_on() {
        let images = [image("one", &["sha256:a"]), image("two", &["sha256:b"])];
        assert_eq!(which(&images, Some("sha256:b")), Of::Image(&images[1]));
        assert_eq!(
            which(&images, Some("sha256:b-100000-100000")),
            Of::Image(&images[1])
        );
        assert_eq!(which(&images, Some("sha256:c")), Of::Another);
        assert_eq!(which(&images, Some("base")), Of::Image(&images[0]));
        assert_eq!(which(&images, None), Of::Image(&images[0]));
        assert_eq!(which(&[], Some("sha256:c")), Of::Unknown);
    }

    #[test]
    fn a_manifest_is_of_one_platform_or_lists_several() {
        let one = br#"{"schemaVersion":2,"config":{"digest":"sha256:c"},"layers":[]}"#;
        assert_eq!(Manifest::read(one), Some(Manifest::One("sha256:c".into())));
        let own = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            _ => "arm64",
        };
        let several = format!(
            r#"{{"manifests":[
                {{"digest":"sha256:a","platform":{{"architecture":"unknown","os":"unknown"}}}},
                {{"digest":"sha256:b","platform":{{"architecture":"{own}","os":"windows"}}}},
                {{"digest":"sha256:c","platform":{{"architecture":"{own}","os":"linux"}}}},
                {{"no digest":1}}]}}"#
        );
        assert_eq!(
            Manifest::read(several.as_bytes()),
            Some(Manifest::Several(vec![
                "sha256:c".into(),
                "sha256:a".into(),
                "sha256:b".into()
            ]))
        );
        for none in ["", "[]", "{}", r#"{"config":{}}"#, r#"{"manifests":7}"#] {
            assert_eq!(Manifest::read(none.as_bytes()), None, "{none}");
        }
    }
}
