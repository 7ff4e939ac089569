//! The report as one HTML page without any outside reference: the pictures stand inside it.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::charts::escape;
use crate::sections::Picture;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;max-width:1080px;margin:2rem auto;\
padding:0 1rem;background:#fff;color:#1f2328}\
h1,h2{border-bottom:1px solid #d0d7de;padding-bottom:.3rem}h2{margin-top:2.5rem}\
table{border-collapse:collapse;display:block;overflow-x:auto;font-size:14px;margin:1rem 0}\
th,td{border:1px solid #d0d7de;padding:.3rem .6rem;font-variant-numeric:tabular-nums}\
th{background:#f6f8fa}code{font:0.9em ui-monospace,Menlo,Consolas,monospace;background:#eff2f5;padding:.1em .3em;\
border-radius:4px;overflow-wrap:anywhere}pre{background:#f6f8fa;padding:1rem;overflow-x:auto}pre code{padding:0}\
blockquote{border-left:4px solid #bf8700;margin:1rem 0;padding:.2rem 1rem;background:#fff8c5}\
figure{margin:1rem 0}svg{max-width:100%;height:auto}\
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}h1,h2{border-color:#323a45}\
th,td{border-color:#323a45}th,pre{background:#171d26}code{background:#232b36}blockquote{background:#3a2e10}}";

/// The page: markdown as HTML, each reference to a picture replaced by the picture.
pub(crate) fn page(title: &str, markdown: &str, pictures: &[Picture]) -> String {
    let mut body = String::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    html::push_html(&mut body, inlined(Parser::new_ext(markdown, options), pictures).into_iter());
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(title)
    )
}

fn inlined<'a>(events: impl Iterator<Item = Event<'a>>, pictures: &[Picture]) -> Vec<Event<'a>> {
    let mut out = Vec::new();
    let mut inside = false;
    for event in events {
        match event {
            Event::Start(Tag::Image { ref dest_url, .. }) => {
                let svg = pictures.iter().find(|picture| *picture.file == **dest_url).map(|picture| &picture.svg);
                inside = svg.is_some();
                out.push(svg.map_or(event, |svg| Event::InlineHtml(CowStr::from(svg.clone()))));
            }
            Event::End(TagEnd::Image) if inside => inside = false,
            // The alternative text is in the picture itself.
            _ if inside => {}
            event => out.push(event),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_stands_inside_the_page_and_the_title_is_escaped() {
        let picture = Picture { file: "a.svg".to_owned(), svg: "<svg>x</svg>".to_owned() };
        let page = page("a<b", "# a\n\n![alt](a.svg)\n\n| x |\n|--:|\n| 1 |\n", &[picture]);
        assert!(
            page.contains("<p><svg>x</svg></p>") && !page.contains("<img") && page.contains("<title>a&lt;b</title>")
        );
        assert!(page.contains("<table>") && page.contains("text-align: right"));
    }
}
