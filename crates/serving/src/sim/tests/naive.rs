//! Devices against a simulator that goes step by step.

use super::*;

/// A request on a device.
struct Own {
    number: usize,
    prompt: u32,
    output: u32,
    /// Prompt tokens still to be computed, and tokens that are out.
    left: u32,
    out: u32,
}

/// Step by step, without runs, heaps or epochs: a mixed device, no prefixes, memory for all.
struct Naive<'w> {
    device: &'w Device,
    /// Who is there, in the order of their arrival; so many of them have begun.
    own: Vec<Own>,
    begun: usize,
    /// End of the step in progress, and what is in it.
    step: Option<(i64, Vec<Member>)>,
}

/// A request, and its prompt tokens that are computed; none of one that decodes.
type Member = (usize, Option<u32>);

impl Naive<'_> {
    fn place(&mut self, number: usize, request: &Request) {
        let (prompt, output) = (request.prompt_tokens, request.output_tokens);
        self.own.push(Own { number, prompt, output, left: prompt, out: 0 });
        // The first who arrives at an idle device begins at once, alone.
        if self.step.is_none() {
            self.start(request.arrival_ns);
        }
    }

    fn start(&mut self, now_ns: i64) {
        let mut members: Vec<Member> = Vec::new();
        let decoding = self.own[..self.begun].iter().filter(|own| own.left == 0);
        let (sequences, kv) =
            decoding.fold((0, 0), |(count, sum), own| (count + 1, sum + u64::from(own.prompt + own.out - 1)));
        let mut room = self.device.step_tokens - sequences;
        let mut tokens = 0;
        for (at, own) in self.own.iter().enumerate() {
            if at >= self.begun && (room == 0 || self.begun == self.device.most_sequences as usize) {
                break;
            }
            self.begun = self.begun.max(at + 1);
            let take = own.left.min(room);
            if own.left == 0 {
                members.push((own.number, None));
            } else if take > 0 {
                members.push((own.number, Some(take)));
            }
            (room, tokens) = (room - take, tokens + take);
        }
        let end_ns = now_ns + 1000 + 10 * i64::from(tokens) + 100 * i64::from(sequences) + kv as i64;
        self.step = (!members.is_empty()).then_some((end_ns, members));
    }

    /// Computes the steps that end before a moment.
    fn advance(&mut self, until_ns: i64, times: &mut [(i64, i64)]) {
        while let Some((end_ns, members)) = self.step.take_if(|(end_ns, _)| *end_ns < until_ns) {
            for (number, chunk) in members {
                let at = self.own.iter().position(|own| own.number == number).expect("there");
                let own = &mut self.own[at];
                own.left -= chunk.unwrap_or(0);
                own.out += u32::from(own.left == 0);
                if chunk.is_some() && own.left == 0 {
                    times[number].0 = end_ns;
                }
                if own.out == own.output {
                    times[number].1 = end_ns;
                    self.own.remove(at);
                    self.begun -= 1;
                }
            }
            self.start(end_ns);
        }
    }

    /// Tokens in the contexts of all requests there: the last token of each is not in it yet.
    fn kv_tokens(&self) -> u64 {
        self.own.iter().map(|own| u64::from(own.prompt + own.out.saturating_sub(1))).sum()
    }
}

/// First and last token of each request, placed where the fewest tokens are.
fn naive(workload: &Workload, device: &Device, count: usize) -> Vec<(i64, i64)> {
    let mut times = vec![(0, 0); workload.requests.len()];
    let mut devices: Vec<Naive> = (0..count).map(|_| Naive { device, own: Vec::new(), begun: 0, step: None }).collect();
    for (number, request) in workload.requests.iter().enumerate() {
        for device in &mut devices {
            device.advance(request.arrival_ns, &mut times);
        }
        let emptiest = devices.iter_mut().min_by_key(|device| device.kv_tokens()).expect("a device");
        emptiest.place(number, request);
    }
    for device in &mut devices {
        device.advance(i64::MAX, &mut times);
    }
    times
}

/// Everything to the device with the fewest tokens.
struct Emptiest;

impl Policy for Emptiest {
    fn name(&self) -> &'static str {
        "emptiest"
    }
    fn place_prefill(&mut self, _: &crate::Ask<'_>, view: &View<'_>, _: &mut crate::Explanation) -> Option<usize> {
        (0..view.devices.len()).min_by_key(|&device| view.devices[device].kv_tokens)
    }
    fn place_decode(&mut self, ask: &crate::Ask<'_>, _: &View<'_>, _: &mut crate::Explanation) -> Option<usize> {
        ask.prefilled_on
    }
}

proptest! {
    #[test]
    fn it_equals_a_naive_simulator_to_the_nanosecond_also_in_what_a_policy_sees(
        requests in prop::collection::vec((0_i64..60_000, 1_u32..200, 1_u32..40), 1..40),
        count in 1_usize..4,
    ) {
        let (workload, device) = (workload(&requests), device(Role::Mixed, 1 << 40));
        let cluster = cluster(vec![device.clone(); count]);
        let mut all = All::default();
        let options = Options::default();
        simulate(&workload, &cluster, &mut Emptiest, &mut Everyone, &options, &mut all).expect("sound");
        all.outcomes.sort_by_key(|outcome| outcome.request);
        // Who arrives at the very end of a step is in time for the next only amid steps that were computed at once.
        let ends: Vec<i64> = all.runs.iter().flat_map(Run::ends_ns).collect();
        if workload.requests.iter().any(|request| ends.contains(&request.arrival_ns)) {
            return Ok(());
        }
        let got: Vec<(i64, i64)> =
            all.outcomes.iter().map(|outcome| (outcome.first_token_ns.unwrap_or(-1), outcome.end_ns)).collect();
        prop_assert_eq!(got, naive(&workload, &device, count));
    }
}
