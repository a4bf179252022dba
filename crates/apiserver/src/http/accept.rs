//! Content negotiation: which media type the client wants its answer in.
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources>.
//! Tables are not offered in protobuf, as upstream has it: clients that ask for one list JSON next.

use api::protobuf;

/// Entries of an `Accept` header that are looked at; clients send at most five.
const MAX_ENTRIES: usize = 32;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `application/json`.
    #[default]
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

impl Encoding {
    /// The `Content-Type`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => protobuf::MEDIA,
        }
    }

    /// The `Content-Type` of a watch; `None` where there is no way to tell one event from the next.
    #[must_use]
    pub fn stream_media_type(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("application/json"),
            Self::Yaml => None,
            Self::Protobuf => Some("application/vnd.kubernetes.protobuf;stream=watch"),
        }
    }
}

/// Which view of an object the client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// The object itself.
    #[default]
    Whole,
    /// `meta.k8s.io/v1 Table`.
    Table,
    /// `meta.k8s.io/v1 PartialObjectMetadata` (or its List).
    Partial,
}

/// The negotiated answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Format {
    /// How it is written.
    pub encoding: Encoding,
    /// What is written.
    pub shape: Shape,
}

/// One acceptable media range.
#[derive(Clone, Debug, PartialEq)]
pub struct Range<'a> {
    /// `application/json`, `*/*`; lower case.
    pub media: String,
    /// Parameters except `q`.
    pub parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Range<'_> {
    /// A parameter's value.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(k, _)| *k == name).map(|(_, v)| *v)
    }

    /// The encoding we have for it.
    #[must_use]
    pub fn encoding(&self) -> Option<Encoding> {
        match self.media.as_str() {
            "*/*" | "application/*" | "application/json" => Some(Encoding::Json),
            "application/yaml" => Some(Encoding::Yaml),
            protobuf::MEDIA => Some(Encoding::Protobuf),
            _ => None,
        }
    }

    /// How little it says: `*/*` is asked after `application/*`, and that after what is named.
    fn wildcards(&self) -> usize {
        self.media.matches('*').count()
    }

    fn format(&self) -> Option<Format> {
        let encoding = self.encoding()?;
        match self.parameter("stream") {
            None | Some("") => {}
            Some("watch") if encoding.stream_media_type().is_some() => {}
            Some(_) => return None,
        }
        let meta_v1 = self.parameter("g") == Some("meta.k8s.io") && self.parameter("v") == Some("v1");
        let shape = match self.parameter("as") {
            None | Some("") => Shape::Whole,
            Some("Table") if meta_v1 && encoding != Encoding::Protobuf => Shape::Table,
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if meta_v1 => Shape::Partial,
            Some(_) => return None,
        };
        Some(Format { encoding, shape })
    }
}

/// Media ranges of a header, best first.
#[must_use]
pub fn ranges(header: &str) -> Vec<Range<'_>> {
    let mut ranges: Vec<_> = header.split(',').take(MAX_ENTRIES).filter_map(range).collect();
    ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality).then(a.wildcards().cmp(&b.wildcards())));
    ranges
}

fn range(entry: &str) -> Option<Range<'_>> {
    let mut parts = entry.split(';').map(str::trim);
    let media = parts.next().filter(|m| !m.is_empty())?.to_ascii_lowercase();
    let mut quality = 1.0;
    let mut parameters = Vec::new();
    for (name, value) in parts.filter_map(|p| p.split_once('=')) {
        match name {
            "q" => quality = value.parse().unwrap_or(0.0),
            _ => parameters.push((name, value.trim_matches('"'))),
        }
    }
    (quality > 0.0).then_some(Range { media, parameters, quality })
}

/// Chooses the format of an object's answer; no header means JSON.
///
/// # Errors
/// `None` where nothing asked for can be had: 406.
#[must_use]
pub fn negotiate(header: Option<&str>) -> Option<Format> {
    match header.map(str::trim) {
        None | Some("" | "application/json" | "*/*") => Some(Format::default()),
        Some(header) => ranges(header).iter().find_map(Range::format),
    }
}

/// Chooses how a Status or a document of discovery is written, of which there are no other views; JSON where nothing fits.
#[must_use]
pub fn whole(header: Option<&str>) -> Encoding {
    let ranges = ranges(header.unwrap_or_default());
    let mut formats = ranges.iter().filter_map(Range::format);
    formats.find(|format| format.shape == Shape::Whole).unwrap_or_default().encoding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expect: Option<(Encoding, Shape)>) {
        assert_eq!(negotiate(Some(header)), expect.map(|(encoding, shape)| Format { encoding, shape }), "{header}");
    }

    #[test]
    fn takes_the_best_format_it_has() {
        use {Encoding::*, Shape::*};
        check("", Some((Json, Whole)));
        check("*/*", Some((Json, Whole)));
        check("application/yaml", Some((Yaml, Whole)));
        check("application/json;q=0.1, application/yaml;q=0.9", Some((Yaml, Whole)));
        check("application/vnd.kubernetes.protobuf,application/json", Some((Protobuf, Whole)));
        check("application/json,application/vnd.kubernetes.protobuf", Some((Json, Whole)));
        check("application/json;q=0.8,application/vnd.kubernetes.protobuf;q=0.9", Some((Protobuf, Whole)));
        check("application/vnd.kubernetes.protobuf;stream=watch", Some((Protobuf, Whole)));
        check("application/yaml;stream=watch", None);
        check("application/vnd.kubernetes.protobuf;stream=other,application/yaml", Some((Yaml, Whole)));
        check(
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Some((Protobuf, Partial)),
        );
        check(
            "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json;as=Table;g=meta.k8s.io;v=v1",
            Some((Json, Table)),
        );
        check("*/*,application/yaml", Some((Yaml, Whole)));
        check("application/*,application/vnd.kubernetes.protobuf", Some((Protobuf, Whole)));
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some((Json, Table)));
        check("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Some((Json, Whole)));
        check("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", Some((Json, Partial)));
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some((Json, Whole)));
        check("text/html", None);
        check("application/json;q=0", None);
    }

    #[test]
    fn a_status_is_written_as_the_client_reads_objects() {
        let check = |header: &str, expect| assert_eq!(whole(Some(header)), expect, "{header}");
        check("", Encoding::Json);
        check("text/html", Encoding::Json);
        check("application/vnd.kubernetes.protobuf,application/json", Encoding::Protobuf);
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/yaml", Encoding::Yaml);
        check("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", Encoding::Json);
        assert_eq!(whole(None), Encoding::Json);
    }
}
