//! What clients ask, and what they are told.

use super::*;

impl Hub {
    pub fn request(&mut self, request: Request) -> RequestId {
        let id = self.submit(request);
        self.run();
        id
    }

    /// Puts a request into the queue without running the loop.
    pub fn submit(&mut self, request: Request) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.open.insert(id, request.clone());
        let partition = self.owner(request.instance().slot());
        self.queue.push_back((partition, Input::Request(id, request)));
        id
    }

    pub fn cancel(&mut self, id: RequestId) {
        let request = self.open.remove(&id).expect("it is open");
        let partition = self.owner(request.instance().slot());
        self.queue.push_back((partition, Input::Cancelled(id)));
        self.run();
    }

    pub fn reply(&self, id: RequestId) -> Option<&Reply> {
        self.replies.get(&id)
    }

    pub fn ask(&mut self, request: Request) -> Reply {
        let what = format!("{request:?}");
        let id = self.request(request);
        self.replies.remove(&id).unwrap_or_else(|| panic!("no reply to {what}"))
    }

    pub fn refused(&mut self, request: Request) -> Refusal {
        match self.ask(request) {
            Reply::Refused(refusal) => refusal,
            other => panic!("it was not refused: {other:?}"),
        }
    }

    pub fn done(&mut self, request: Request) {
        match self.ask(request) {
            Reply::Done => {}
            other => panic!("it was not done: {other:?}"),
        }
    }

    pub fn start_with(&mut self, request: CreateInstanceRequest, on_existing: OnExisting) -> Reply {
        self.ask(Request::Start(Box::new(Start { request, fresh: false, on_existing })))
    }

    /// Starts an instance, and gives its birth.
    pub fn start(&mut self, id: &str, name: &str, input: Option<&str>) -> Birth {
        match self.start_with(create(id, name, input), OnExisting::Reject) {
            Reply::Started { birth, attached: false, .. } => birth,
            other => panic!("{id} was not started: {other:?}"),
        }
    }

    /// What is held in all partitions.
    pub fn held_items(&mut self) -> Vec<HeldItem> {
        let mut all = Vec::new();
        for partition in self.partitions.keys().copied().collect::<Vec<_>>() {
            let id = RequestId(self.next_request);
            self.next_request += 1;
            self.open.insert(id, Request::Get("nobody".into()));
            self.queue.push_back((partition, Input::ShowHeld(id)));
            self.run();
            match self.replies.remove(&id) {
                Some(Reply::Held(items)) => all.extend(items),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    /// The one item that is held.
    pub fn held_item(&mut self) -> HeldItem {
        let items = self.held_items();
        assert_eq!(items.len(), 1, "one item is held: {items:?}");
        items[0].clone()
    }

    pub fn decide(&mut self, item: &HeldItem, verdict: Verdict) {
        self.done(Request::Decide { id: item.instance.clone(), key: item.key, verdict });
    }

    pub fn raise(&mut self, id: &str, name: &str, input: Option<&str>) {
        self.done(Request::Raise { id: id.into(), name: name.into(), input: input.map(Into::into) });
    }

    pub fn suspend(&mut self, id: &str) {
        self.done(Request::Suspend { id: id.into(), reason: None });
    }

    pub fn resume(&mut self, id: &str) {
        self.done(Request::Resume { id: id.into(), reason: None });
    }

    pub fn terminate(&mut self, id: &str, output: &str, recurse: bool) {
        self.done(Request::Terminate { id: id.into(), output: Some(output.into()), recurse });
    }

    pub fn wait(&mut self, id: &str, birth: Option<Birth>, until: Until, timeout: Option<u64>) -> RequestId {
        let timeout = timeout.map(Duration::from_secs);
        self.request(Request::Wait(Wait { id: id.into(), birth, until, timeout }))
    }

    pub fn find(&mut self, id: &str) -> Option<OrchestrationState> {
        match self.ask(Request::Get(id.into())) {
            Reply::State(state) => state.map(Arc::unwrap_or_clone),
            other => panic!("{other:?}"),
        }
    }

    pub fn state(&mut self, id: &str) -> OrchestrationState {
        self.find(id).unwrap_or_else(|| panic!("{id} exists"))
    }

    pub fn status(&mut self, id: &str) -> OrchestrationStatus {
        self.state(id).orchestration_status()
    }

    /// `STATUS output failure` in a line.
    pub fn outcome(&mut self, id: &str) -> String {
        let Some(state) = self.find(id) else { return "none".into() };
        let status = state.orchestration_status().as_str_name().trim_start_matches("ORCHESTRATION_STATUS_").to_string();
        let failure =
            state.failure_details.map(|failure| format!(" {}({})", failure.error_type, failure.error_message));
        format!(
            "{status}{}{}",
            state.output.map_or_else(String::new, |output| format!(" {output}")),
            failure.unwrap_or_default()
        )
    }

    pub fn events(&mut self, id: &str) -> Vec<Bytes> {
        match self.ask(Request::History(id.into())) {
            Reply::History(events) => events,
            other => panic!("{other:?}"),
        }
    }

    pub fn history(&mut self, id: &str) -> String {
        text::lines(&self.events(id)).join("\n")
    }

    /// Compares a history with lines whose indentation does not count.
    #[track_caller]
    pub fn expect_history(&mut self, id: &str, expected: &str) {
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let found = self.history(id);
        assert_eq!(found, expected.join("\n"), "the history of {id} in mode {:?} is:\n{found}\n", self.mode);
    }
}
