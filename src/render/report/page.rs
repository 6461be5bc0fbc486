//! The report as one self-contained HTML page: no scripts, nothing from elsewhere.

use crate::render::safe::safe;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The page for a report in Markdown. Only what the report's own structure makes becomes markup: HTML that should have got
/// into it is shown as text, links and pictures lose their targets.
pub fn page(title: &str, report: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(report, options).filter_map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Some(Event::Text(raw)),
        Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)
        | Event::End(TagEnd::Link | TagEnd::Image | TagEnd::HtmlBlock) => None,
        other => Some(other),
    });
    let mut body = String::new();
    pulldown_cmark::html::push_html(&mut body, events);
    let mut heading = String::new();
    escape(&mut heading, &safe(title));
    include_str!("page.html")
        .replace("{title}", &heading)
        .replace("{body}", &body)
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Also keeps `{body}` from being replaced inside a title.
            '{' => out.push_str("&#123;"),
            other => out.push(other),
        }
    }
}
