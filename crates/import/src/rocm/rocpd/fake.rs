//! Databases for tests, with the tables and columns of the schemas of rocprofiler-sdk that this crate reads or refers
//! to.

use std::path::Path;

use rusqlite::{Connection, params};

/// The state of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// 3.0.0, as rocprofv3 of ROCm 7 writes it.
    Inline,
    /// 4.1.0 in development: place in `rocpd_track`, categories in `rocpd_info_category`.
    Tracks,
    /// The state before that: times in `rocpd_timestamp` too.
    Timestamps,
}

/// The tables of one process under construction.
pub(crate) struct Fake<'c> {
    connection: &'c Connection,
    suffix: String,
    schema: Schema,
    next: i64,
}

/// Writes a database with what `fill` puts into it.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&Connection)) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN").unwrap();
    fill(&connection);
    connection.execute_batch("COMMIT").unwrap();
    connection.close().unwrap();
}

impl<'c> Fake<'c> {
    /// The empty tables of a process on a machine that has a processor (agent 0) and GPUs (agents 1 and 2).
    pub(crate) fn new(
        connection: &'c Connection,
        guid: &str,
        schema: Schema,
        pid: i64,
        init: i64,
        machine: &str,
    ) -> Self {
        let suffix = if guid.is_empty() { String::new() } else { format!("_{guid}") };
        let fake = Self { connection, suffix, schema, next: 0 };
        let place = "nid, pid, tid, agent_id, queue_id, stream_id";
        let times = if schema == Schema::Timestamps { "start_id, end_id" } else { "\"start\", \"end\"" };
        let placed = |own: &str| match schema {
            Schema::Inline => format!("id INTEGER PRIMARY KEY, guid, {place}, {times}, {own}, event_id, extdata"),
            _ => format!("id INTEGER PRIMARY KEY, guid, track_id, {times}, {own}, event_id, extdata"),
        };
        let sizes = "workgroup_size_x, workgroup_size_y, workgroup_size_z, grid_size_x, grid_size_y, grid_size_z";
        let instant = if schema == Schema::Timestamps { "timestamp_id" } else { "timestamp" };
        for (name, columns) in [
            ("metadata", "id INTEGER PRIMARY KEY, tag, value".to_owned()),
            ("string", "id INTEGER PRIMARY KEY, guid, string".to_owned()),
            ("info_node", "id INTEGER PRIMARY KEY, guid, hash, machine_id, hostname".to_owned()),
            ("info_process", "id INTEGER PRIMARY KEY, guid, nid, ppid, pid, init, fini, start, \"end\", command".to_owned()),
            ("info_thread", "id INTEGER PRIMARY KEY, guid, nid, ppid, pid, tid, name".to_owned()),
            ("info_agent", "id INTEGER PRIMARY KEY, guid, nid, pid, type, absolute_index, logical_index, type_index, uuid, name, model_name, vendor_name, product_name, extdata".to_owned()),
            ("info_kernel_symbol", "id INTEGER PRIMARY KEY, guid, code_object_id, kernel_name, display_name, arch_vgpr_count, accum_vgpr_count, extdata".to_owned()),
            ("info_pmc", "id INTEGER PRIMARY KEY, guid, agent_id, name, symbol, units".to_owned()),
            ("event", "id INTEGER PRIMARY KEY, guid, category_id, stack_id, parent_stack_id, correlation_id, extdata".to_owned()),
            ("pmc_event", "id INTEGER PRIMARY KEY, guid, event_id, pmc_id, value".to_owned()),
            ("track", format!("id INTEGER PRIMARY KEY, guid, {place}, name_id")),
            ("region", placed("name_id")),
            ("sample", format!("id INTEGER PRIMARY KEY, guid, track_id, {instant}, event_id, extdata")),
            ("kernel_dispatch", placed(&format!("kernel_id, dispatch_id, private_segment_size, group_segment_size, {sizes}, region_name_id"))),
            ("memory_copy", placed("name_id, dst_agent_id, dst_address, src_agent_id, src_address, size, region_name_id")),
            ("memory_allocate", placed("type, level, address, size")),
        ] {
            fake.create(name, &columns);
        }
        match schema {
            Schema::Inline => {}
            Schema::Tracks => fake.create("info_category", "id INTEGER PRIMARY KEY, guid, name"),
            Schema::Timestamps => fake.create("timestamp", "id INTEGER PRIMARY KEY, guid, value, phase, track_id"),
        }
        fake.run(
            "INSERT INTO @info_node (id, hash, machine_id, hostname) VALUES (1, 5, ?1, 'secret')",
            params![machine],
        );
        fake.run("INSERT INTO @info_process (id, nid, pid, init, start) VALUES (1, 1, ?1, ?2, ?2)", params![pid, init]);
        fake.run("INSERT INTO @info_thread (id, nid, pid, tid) VALUES (1, 1, 1, ?1)", params![pid + 1]);
        for (id, kind, index, name, product) in [
            (0, "CPU", 0, "EPYC", "EPYC"),
            (1, "GPU", 0, "gfx942", "AMD Instinct MI300X"),
            (2, "GPU", 1, "gfx942", "AMD Instinct MI300X"),
        ] {
            let extdata = r#"{"id":{"handle":77},"type":2,"cu_count":304,"max_engine_clk_fcompute":2100}"#;
            let sql = "INSERT INTO @info_agent (id, type, absolute_index, logical_index, type_index, name, product_name, extdata) \
                       VALUES (?1, ?2, ?1, ?1, ?3, ?4, ?5, ?6)";
            fake.run(sql, params![id, kind, index, name, product, extdata]);
        }
        fake.run("INSERT INTO @info_kernel_symbol (id, kernel_name, display_name, arch_vgpr_count, accum_vgpr_count) VALUES (1, '_Z1fv.kd', 'f()', 8, 4)", []);
        fake
    }

    fn create(&self, name: &str, columns: &str) {
        self.connection.execute_batch(&format!("CREATE TABLE \"rocpd_{name}{}\" ({columns})", self.suffix)).unwrap();
    }

    /// Runs a statement; `@name` stands for a table of this process.
    pub(crate) fn run(&self, sql: &str, values: impl rusqlite::Params) {
        let mut parts = sql.split('@');
        let mut whole = parts.next().unwrap().to_owned();
        for part in parts {
            let end =
                part.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).unwrap_or(part.len());
            whole.push_str(&[&format!("\"rocpd_{}{}\"", &part[..end], self.suffix), &part[end..]].concat());
        }
        self.connection.execute(&whole, values).unwrap();
    }

    fn id(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    fn string(&mut self, text: &str) -> i64 {
        let id = self.id();
        self.run("INSERT INTO @string (id, string) VALUES (?1, ?2)", params![id, text]);
        id
    }

    fn event(&mut self, category: &str, stack: i64, extdata: &str) -> i64 {
        let category = if self.schema == Schema::Tracks {
            let id = self.id();
            self.run("INSERT INTO @info_category (id, name) VALUES (?1, ?2)", params![id, category]);
            id
        } else {
            self.string(category)
        };
        let id = self.id();
        let sql = "INSERT INTO @event (id, category_id, stack_id, parent_stack_id, correlation_id, extdata) VALUES (?1, ?2, ?3, ?3, 0, ?4)";
        self.run(sql, params![id, category, stack, extdata]);
        id
    }

    /// A row of a table of events: where and when, then its own columns with their values as SQL.
    fn row(
        &mut self,
        table: &str,
        place: [Option<i64>; 3],
        start: i64,
        end: i64,
        event: i64,
        own: &[(&str, String)],
    ) -> i64 {
        let id = self.id();
        let [agent, queue, stream] = place;
        let (mut names, mut values) = (vec!["id", "event_id"], vec![id.to_string(), event.to_string()]);
        let null = |value: Option<i64>| value.map_or_else(|| "NULL".to_owned(), |value| value.to_string());
        let placed = [
            ("nid", "1".to_owned()),
            ("pid", "1".to_owned()),
            ("tid", "1".to_owned()),
            ("agent_id", null(agent)),
            ("queue_id", null(queue)),
            ("stream_id", null(stream)),
        ];
        if self.schema == Schema::Inline {
            for (name, value) in placed {
                names.push(name);
                values.push(value);
            }
        } else {
            let track = self.id();
            let (columns, cells): (Vec<_>, Vec<_>) = placed.into_iter().unzip();
            self.run(
                &format!("INSERT INTO @track (id, {}) VALUES ({track}, {})", columns.join(","), cells.join(",")),
                [],
            );
            names.push("track_id");
            values.push(track.to_string());
        }
        if self.schema == Schema::Timestamps {
            for (name, time) in [("start_id", start), ("end_id", end)] {
                let id = self.id();
                self.run("INSERT INTO @timestamp (id, value, phase) VALUES (?1, ?2, 1)", params![id, time]);
                names.push(name);
                values.push(id.to_string());
            }
        } else {
            names.extend(["\"start\"", "\"end\""]);
            values.extend([start.to_string(), end.to_string()]);
        }
        for (name, value) in own {
            names.push(name);
            values.push(value.clone());
        }
        self.run(&format!("INSERT INTO @{table} ({}) VALUES ({})", names.join(","), values.join(",")), []);
        id
    }

    /// A launch of kernel 1 on an agent; returns its event.
    pub(crate) fn kernel(&mut self, agent: i64, stack: i64, start: i64, end: i64) -> i64 {
        let event = self.event("KERNEL_DISPATCH", stack, "{}");
        let own = [
            ("kernel_id", 1),
            ("dispatch_id", stack),
            ("group_segment_size", 64),
            ("workgroup_size_x", 64),
            ("workgroup_size_y", 1),
            ("workgroup_size_z", 1),
            ("grid_size_x", 100),
            ("grid_size_y", 2),
            ("grid_size_z", 1),
        ];
        let own = own.map(|(name, value)| (name, value.to_string()));
        self.row("kernel_dispatch", [Some(agent), Some(9), Some(4)], start, end, event, &own);
        event
    }

    pub(crate) fn copy(&mut self, from: i64, to: i64, stack: i64, start: i64, end: i64, bytes: i64) {
        let event = self.event("MEMORY_COPY", stack, "{}");
        let name = self.string(&format!("MEMORY_COPY_{from}_TO_{to}"));
        let own = [("name_id", name), ("src_agent_id", from), ("dst_agent_id", to), ("size", bytes)];
        self.row(
            "memory_copy",
            [None, None, Some(4)],
            start,
            end,
            event,
            &own.map(|(name, value)| (name, value.to_string())),
        );
    }

    pub(crate) fn region(&mut self, category: &str, function: &str, stack: i64, start: i64, end: i64, extdata: &str) {
        let event = self.event(category, stack, extdata);
        let name = self.string(function);
        self.row("region", [None; 3], start, end, event, &[("name_id", name.to_string())]);
    }

    /// An instant on a track that has the category's name, as the profiler writes marks.
    pub(crate) fn sample(&mut self, category: &str, time: i64, extdata: &str) -> i64 {
        let event = self.event(category, 0, extdata);
        let (track, name, id) = (self.id(), self.string(category), self.id());
        self.run("INSERT INTO @track (id, nid, pid, tid, name_id) VALUES (?1, 1, 1, 1, ?2)", params![track, name]);
        let (column, value) = if self.schema == Schema::Timestamps {
            let at = self.id();
            self.run("INSERT INTO @timestamp (id, value, phase) VALUES (?1, ?2, 0)", params![at, time]);
            ("timestamp_id", at)
        } else {
            ("timestamp", time)
        };
        let sql = format!("INSERT INTO @sample (id, track_id, {column}, event_id) VALUES (?1, ?2, ?3, ?4)");
        self.run(&sql, params![id, track, value, event]);
        event
    }

    /// A value of a counter of agent 1, for an event.
    pub(crate) fn counter(&mut self, event: i64, name: &str, value: f64) {
        let (pmc, id) = (self.id(), self.id());
        let exists = format!(
            "INSERT INTO @info_pmc (id, agent_id, name, symbol, units) SELECT {pmc}, 1, '{name}', '{name}', '' WHERE NOT EXISTS (SELECT 1 FROM @info_pmc WHERE name = '{name}')"
        );
        self.run(&exists, []);
        let sql = format!(
            "INSERT INTO @pmc_event (id, event_id, pmc_id, value) SELECT {id}, {event}, id, {value:?} FROM @info_pmc WHERE name = '{name}'"
        );
        self.run(&sql, []);
    }
}

/// A capture with something of every kind.
pub(crate) fn whole(fake: &mut Fake<'_>) {
    fake.region("HIP_RUNTIME_API_EXT", "hipLaunchKernel", 10, 1100, 1110, "{}");
    fake.region("HIP_RUNTIME_API_EXT", "hipMemcpyAsync", 11, 1120, 1190, "{}");
    fake.region("HSA_CORE_API", "hsa_init", 3, 1001, 1002, "{}");
    fake.region("MARKER_CORE_RANGE_API", "roctxThreadRangeA", 20, 1050, 1500, r#"{"message":"step 1"}"#);
    fake.region("MARKER_CORE_RANGE_API", "roctxThreadRangeA", 21, 1105, 1150, r#"{"message":"inner"}"#);
    fake.region("KFD_PAGE_FAULT", "fault", 0, 1200, 1201, "{}");
    fake.sample("MARKER_CORE_RANGE_API", 1120, r#"{"message":"here"}"#);
    let first = fake.kernel(1, 10, 1200, 1250);
    let second = fake.kernel(2, 12, 1260, 1300);
    fake.copy(0, 1, 11, 1300, 1400, 4096);
    fake.copy(2, 1, 11, 1310, 1420, 100);
    fake.copy(1, 0, 11, 1500, 1600, 7);
    for (event, value) in [(second, 4.0), (first, 1.0), (first, 2.5)] {
        fake.counter(event, "SQ_WAVES", value);
    }
}
