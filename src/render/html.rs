//! A page as one self-contained HTML file: readable on a phone, printable, without scripts and without anything from elsewhere.

use super::document::{Document, Piece, pieces};
use super::safe::{safe, safe_multiline};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};

/// The page. `footer` is a line of words at its end.
///
/// # Errors
/// When the page's own template cannot be filled, which would be a mistake of ours.
pub fn html(document: &Document, footer: &str) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("words", |text: &str| Value::from_safe_string(words(text)));
    environment.add_filter("prose", |text: &str| Value::from_safe_string(prose(text)));
    let fail = |error: minijinja::Error| format!("the page could not be made: {error:#}");
    environment
        .add_template("page.html", include_str!("page.html"))
        .map_err(fail)?;
    environment
        .get_template("page.html")
        .and_then(|page| {
            page.render(context! {
                title => safe(&document.title.replace('`', "")),
                blocks => Serde(&document.blocks),
                footer,
            })
        })
        .map_err(fail)
}

/// Words with their backticks as code, everything else escaped.
fn words(text: &str) -> String {
    let text = safe(text);
    pieces(&text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(plain) => escape(plain),
            Piece::Code(code) => format!("<code>{}</code>", escape(code)),
        })
        .collect()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// The author's Markdown. HTML in it is shown as text, links only lead to `http`, `https` and `mailto`, and pictures, which
/// would be fetched from elsewhere, become links.
fn prose(text: &str) -> String {
    let text = safe_multiline(text);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(&text, options).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(
            Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }
            | Tag::Image {
                link_type,
                dest_url,
                title,
                id,
            },
        ) => Event::Start(Tag::Link {
            link_type,
            dest_url: harmless(dest_url),
            title,
            id,
        }),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        // Headings of prose stand below those of the page.
        Event::Start(Tag::Heading { id, classes, attrs, .. }) => Event::Start(Tag::Heading {
            level: pulldown_cmark::HeadingLevel::H4,
            id,
            classes,
            attrs,
        }),
        Event::End(TagEnd::Heading(_)) => Event::End(TagEnd::Heading(pulldown_cmark::HeadingLevel::H4)),
        other => other,
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    out
}

fn harmless(target: CowStr<'_>) -> CowStr<'_> {
    let lower = target.trim().to_ascii_lowercase();
    if ["http://", "https://", "mailto:", "#"]
        .iter()
        .any(|scheme| lower.starts_with(scheme))
    {
        target
    } else {
        CowStr::Borrowed("#")
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{heading, paragraph};
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let evil = "<script>alert(1)</script>";
        let mut document = Document {
            title: evil.to_owned(),
            blocks: vec![heading(2, evil), paragraph(format!("`{evil}` \u{202e}x"))],
        };
        document.blocks.push(super::super::document::Block::Prose {
            text: format!("{evil}\n\n<img src=x onerror=y> ![p](http://x/p.png) [l](javascript:alert(1)) **strong**"),
        });
        let page = html(&document, "made").unwrap();
        assert!(
            !page.contains("<script") && !page.contains("<img") && !page.contains("javascript:"),
            "{page}"
        );
        assert!(page.contains("&lt;script&gt;"));
        assert!(page.contains("<strong>strong</strong>"));
        assert!(!page.contains('\u{202e}'));
        assert!(page.contains(r#"<a href="http://x/p.png">p</a>"#), "{page}");
    }
}
