//! The pictures of a report as files of their own, for a paper or an issue.

use super::{STYLE_OF_PICTURES, cycle, over_time, patterns};
use crate::band::bands;
use crate::case::Case;
use crate::cycle::cycle as read_cycle;
use crate::logs::NodeLog;
use crate::results::Results;
use crate::scene::Scene;
use crate::timeline;
use maud::Markup;
use ordeal_history::History;

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The name of its file: `latency.svg`, `counterexample-1.svg`, `cycle-1.svg`.
    pub file: String,
    /// The whole of it, in colours for a light page.
    pub svg: String,
}

/// Every picture of the report, as SVG: the counterexamples' timelines and cycles, and the plots.
///
/// # Errors
///
/// When a plot cannot be drawn; the message names it.
pub fn pictures(
    results: &Results,
    history: &History,
    logs: &[NodeLog],
) -> Result<Vec<Picture>, String> {
    let bands = bands(history);
    let scene = Scene::new(results, history, &bands, logs);
    let mut pictures = Vec::new();
    let found = results.checkers.iter().filter_map(|c| c.counterexample.as_ref());
    for (number, found) in (1..).zip(found) {
        let case = Case::new(found, history);
        if !case.shown.is_empty() {
            let svg = alone(timeline::svg(&case, &bands));
            pictures.push(Picture { file: format!("counterexample-{number}.svg"), svg });
        }
        if let Some(read) = read_cycle(&found.story) {
            let svg = alone(cycle::svg(&read));
            pictures.push(Picture { file: format!("cycle-{number}.svg"), svg });
        }
    }
    for plot in over_time::plots(history, &scene) {
        let svg = plot.svg.map_err(|error| format!("{}.svg: {error}", plot.file))?;
        pictures.push(Picture { file: format!("{}.svg", plot.file), svg });
    }
    Ok(pictures)
}

/// A picture of the page, with the page's style and patterns taken along.
pub(crate) fn alone(picture: Markup) -> String {
    let picture = picture.into_string();
    let Some((head, rest)) = picture.split_once('>') else { return picture };
    let head = head.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1);
    let patterns = patterns().into_string();
    format!("{head}><style>{STYLE_OF_PICTURES}</style>{patterns}{rest}\n")
}
