//! What each queue did, and where it waited.

use serde::Serialize;

use super::{Built, Picture};
use crate::error::Error;
use crate::format;
use crate::run::Report;
use crate::views;

#[derive(Serialize)]
struct Values {
    runs: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    label: String,
    picture: Option<String>,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let (mut runs, mut pictures) = (Vec::new(), Vec::new());
    for run in &report.runs {
        let view = views::timeline::view(run, &report.suffix(run))?;
        let file = format!("timeline{}.svg", report.suffix(run));
        runs.push(Part { label: format::plain(run.label()), picture: view.is_some().then(|| file.clone()) });
        pictures.extend(view.map(|view| Picture { file, svg: view.render() }));
    }
    Built::new("timeline", &Values { runs }, pictures).map(Some)
}
