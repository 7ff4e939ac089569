//! Lines that become rows, and what each must be by itself.

use proftool_trace::rows;
use serde_json::value::RawValue;

use super::lines::{Decision, Event, Issue, Request, Sample, Steps, Text};
use super::reading::{Reading, Stop};
use crate::error::Shown;
use crate::raw::{Import, Severity};
use crate::requests::log::{Bad, check};

const EVENTS: &[&str] = &["queued", "prefill", "kv_transfer", "decode", "token", "preempt", "migrate"];
const STATUSES: &[&str] = &["ok", "rejected", "failed", "aborted"];
const DECISIONS: &[&str] = &["admit", "prefill", "decode", "migrate"];
const SEVERITIES: &[&str] = &["info", "data_loss", "error"];
/// Steps that a line may hold: each takes two bytes of the file and many in memory.
const MOST_STEPS: usize = 1 << 16;

impl Reading {
    pub(super) fn request(
        &mut self,
        import: &mut Import<'_>,
        row: &Request<'_>,
        place: impl Fn() -> String,
    ) -> Result<(), Stop> {
        let hash = self.identify(&row.request);
        one_of("status", &row.status, STATUSES)?;
        let devices = [row.prefill_device, row.decode_device, row.first_token_device];
        devices.into_iter().flatten().try_for_each(|device| self.known(device))?;
        if self.requests.contains(&hash) {
            let reason = format!("request {:?} stands in the log before", self.id);
            return Err(Bad::new("duplicate_request", reason).into());
        }
        let request = request(&self.id, row);
        check(&request, &[])?;
        let last = row.end_ns.or(row.first_token_ns).unwrap_or(row.arrival_ns);
        if import.possible(row.arrival_ns, last, place) {
            import.put(&request)?;
            self.requests.insert(hash);
            self.covers(row.arrival_ns, last);
        }
        Ok(())
    }

    pub(super) fn event(
        &mut self,
        import: &mut Import<'_>,
        row: &Event<'_>,
        place: impl Fn() -> String,
    ) -> Result<(), Stop> {
        let hash = self.identify(&row.request);
        one_of("event", &row.kind, EVENTS)?;
        not_negative("bytes", row.bytes)?;
        row.device.map_or(Ok(()), |device| self.known(device))?;
        let Event { device, start_ns, end_ns, bytes, .. } = *row;
        // Also of an event that is left out, so that the second reading of a file judges times as the first.
        if !import.possible(start_ns, end_ns, place) {
            return Ok(());
        }
        if self.left_out.contains(&hash) {
            self.left_out_events += 1;
            return Ok(());
        }
        self.with_events.insert(hash);
        self.covers(start_ns, end_ns);
        import.put(&rows::RequestEvent { request: &self.id, kind: &row.kind.0, device, start_ns, end_ns, bytes })?;
        Ok(())
    }

    /// Steps of one batch, each of which reads as many tokens more than the one before as requests decode.
    pub(super) fn steps(
        &mut self,
        import: &mut Import<'_>,
        row: &Steps,
        place: impl Fn() -> String,
    ) -> Result<(), Stop> {
        let Steps { device, start_ns, prefill_tokens, decode_batch, kv_tokens, .. } = *row;
        self.known(device)?;
        not_negative("prefill_tokens", prefill_tokens)?;
        not_negative("decode_batch", decode_batch)?;
        not_negative("kv_tokens", kv_tokens)?;
        let count = row.steps.len();
        if count == 0 || count > MOST_STEPS || row.steps.iter().any(|ns| *ns < 0) {
            return Err(Bad::new("bad_value", format!("steps are not 1 to {MOST_STEPS} durations")).into());
        }
        let growth = decode_batch.unwrap_or(0);
        let most = growth.checked_mul(count as i64).and_then(|all| all.checked_add(kv_tokens.unwrap_or(0)));
        let end_ns = row.steps.iter().try_fold(start_ns, |at_ns, ns| at_ns.checked_add(*ns));
        let (Some(_), Some(end_ns)) = (most, end_ns) else {
            return Err(Bad::new("bad_value", "its steps or their tokens add up to more than 2^63").into());
        };
        if !import.possible(start_ns, end_ns, place) {
            return Ok(());
        }
        import.uses_device(device);
        self.covers(start_ns, end_ns);
        let (mut start_ns, mut kv_tokens) = (start_ns, kv_tokens);
        for ns in &row.steps {
            let end_ns = start_ns + ns;
            import.put(&rows::Step { device, start_ns, end_ns, prefill_tokens, decode_batch, kv_tokens })?;
            (start_ns, kv_tokens) = (end_ns, kv_tokens.map(|tokens| tokens + growth));
        }
        Ok(())
    }

    pub(super) fn sample(
        &mut self,
        import: &mut Import<'_>,
        row: &Sample<'_>,
        place: impl Fn() -> String,
    ) -> Result<(), Stop> {
        let Sample { device, start_ns, end_ns, value, .. } = *row;
        self.known(device)?;
        if !import.possible(start_ns, end_ns, place) {
            return Ok(());
        }
        let Some(def) = self.metric(import, &row.metric.0, text(row.unit.as_ref()))? else {
            return Err(Bad::new("bad_value", "the log has too many metrics").into());
        };
        self.covers(start_ns, end_ns);
        import.put(&rows::Sample { device, def, start_ns, end_ns, value })?;
        Ok(())
    }

    pub(super) fn decision(
        &mut self,
        import: &mut Import<'_>,
        row: &Decision<'_>,
        place: impl Fn() -> String,
    ) -> Result<(), Stop> {
        self.identify(&row.request);
        one_of("decision", &row.kind, DECISIONS)?;
        object("terms", row.terms)?;
        object("runner_up", row.runner_up)?;
        if import.possible(row.t_ns, row.t_ns, place) {
            self.covers(row.t_ns, row.t_ns);
            import.put(&rows::Decision {
                request: &self.id,
                t_ns: row.t_ns,
                kind: &row.kind.0,
                policy: &row.policy.0,
                chosen: text(row.chosen.as_ref()),
                terms: row.terms.map(RawValue::get),
                runner_up: row.runner_up.map(RawValue::get),
            })?;
        }
        Ok(())
    }

    /// A problem that the run noted. What it lost is lost for the import too, which its own issue says.
    pub(super) fn issue(import: &mut Import<'_>, row: &Issue<'_>) -> Result<(), Stop> {
        one_of("severity", &row.severity, SEVERITIES)?;
        if row.count < 1 {
            return Err(Bad::new("bad_value", format!("count is {}", row.count)).into());
        }
        let (code, detail) = (&row.code.0, &row.detail.0);
        let first = || format!("problems that the run itself noted, the first: {code}: {detail}");
        match &*row.severity.0 {
            "data_loss" => import.issue(Severity::DataLoss, "lost_in_the_run", 1, first()),
            "error" => import.issue(Severity::Error, "failed_in_the_run", 1, first()),
            _ => {}
        }
        import.put(&rows::Issue {
            source: &row.source.0,
            severity: &row.severity.0,
            code,
            count: row.count,
            detail: &Shown(detail).to_string(),
        })?;
        Ok(())
    }
}

fn request<'r>(id: &'r str, row: &'r Request<'_>) -> rows::Request<'r> {
    rows::Request {
        request: id,
        arrival_ns: row.arrival_ns,
        first_token_ns: row.first_token_ns,
        end_ns: row.end_ns,
        prompt_tokens: row.prompt_tokens,
        output_tokens: row.output_tokens,
        cached_tokens: row.cached_tokens,
        priority: row.priority,
        tier: text(row.tier.as_ref()),
        slo_ttft_ns: row.slo_ttft_ns,
        slo_tpot_ns: row.slo_tpot_ns,
        predicted_ttft_ns: row.predicted_ttft_ns,
        policy: text(row.policy.as_ref()),
        prefill_device: row.prefill_device,
        decode_device: row.decode_device,
        first_token_device: row.first_token_device,
        status: &row.status.0,
        reason: text(row.reason.as_ref()),
    }
}

fn text<'r>(text: Option<&'r Text<'_>>) -> Option<&'r str> {
    text.map(|text| &*text.0)
}

fn one_of(name: &str, word: &Text<'_>, words: &[&str]) -> Result<(), Bad> {
    if words.contains(&&*word.0) { Ok(()) } else { Err(Bad::value(name, &word.0, &words.join(", "))) }
}

fn not_negative(name: &str, value: Option<i64>) -> Result<(), Bad> {
    match value {
        Some(value) if value < 0 => Err(Bad::new("negative_value", format!("{name} is {value}"))),
        _ => Ok(()),
    }
}

fn object(name: &str, value: Option<&RawValue>) -> Result<(), Bad> {
    match value {
        Some(value) if !value.get().starts_with('{') => Err(Bad::value(name, value.get(), "object")),
        _ => Ok(()),
    }
}
