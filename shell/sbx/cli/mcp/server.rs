//! How a call of a tool goes.

use super::answer::failure;
use super::calls::Calls;
use super::place::Place;
use super::tools::{Call, Entry, Work, table};
use crate::cli::exec::Fate;
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult, ErrorCode,
    Implementation, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use sbx::Cancel;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Time between two words of progress.
const TICK: Duration = Duration::from_secs(1);
/// Most characters of output in a word of progress.
const GLIMPSE: usize = 200;

pub struct Server {
    place: Arc<Place>,
    calls: Calls,
    tools: Vec<Entry>,
}

impl Server {
    pub fn new(place: Place) -> Server {
        let tools = table(&place);
        Server { place: Arc::new(place), calls: Calls::new(), tools }
    }

    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    fn tool(&self, name: &str) -> Option<&Entry> {
        self.tools.iter().find(|tool| tool.told.name == name)
    }

    /// Does the work on a thread of its own, tells of its progress if that is asked for, and ends it when the client no longer
    /// waits; what it had changed until then is settled.
    async fn carry_out(
        &self,
        work: Work,
        writes: bool,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let internal = |e: String| ErrorData::internal_error(e, None);
        let turn = tokio::select! {
            turn = self.calls.begin(writes) => turn.ok_or_else(|| internal("the server ends".into()))?,
            () = context.ct.cancelled() => return Err(internal("cancelled".into())),
        };
        let cancel = Cancel::new().map_err(|e| internal(e.to_string()))?;
        let (show, mut shown) = watch::channel(Vec::new());
        let mut done = tokio::task::spawn_blocking({
            let (place, cancel) = (Arc::clone(&self.place), cancel.clone());
            move || {
                let _turn = turn;
                work(&Call { place: &place, cancel: &cancel, shown: &show })
            }
        });
        let progress = context.meta.get_progress_token();
        let (begun, mut tick) = (Instant::now(), tokio::time::interval(TICK));
        tick.tick().await;
        let done = loop {
            tokio::select! {
                done = &mut done => break done,
                () = context.ct.cancelled(), if !cancel.is_cancelled() => cancel.cancel(),
                _ = tick.tick(), if progress.is_some() => {
                    let Some(token) = progress.clone() else { continue };
                    let seen = glimpse(&shown.borrow_and_update());
                    let said = ProgressNotificationParam::new(token, begun.elapsed().as_secs_f64());
                    let said = if seen.is_empty() { said } else { said.with_message(seen) };
                    // Who does not listen any more has cancelled, or will.
                    let _ = context.peer.notify_progress(said).await;
                }
            }
        };
        Ok(match done.map_err(|e| internal(e.to_string()))? {
            Ok(result) => result,
            Err(e) => failure(format!("{e:#}")),
        })
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("sbx", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(instructions(&self.place));
        info
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tool(name).map(|tool| tool.told.clone())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.iter().map(|tool| tool.told.clone()).collect()))
    }

    /// What is no request of the protocol, or one with other parameters.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(match request.method.as_str() {
            "tools/call" => {
                let expected = "tools/call: expected the parameters name, a text, and arguments, an object";
                ErrorData::invalid_params(expected, None)
            }
            method => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method.to_string(), None),
        })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.tool(&request.name) else {
            return Err(ErrorData::invalid_params(format!("Unknown tool: {}", request.name), None));
        };
        Ok(match (tool.begin)(request.arguments) {
            Ok(work) => self.carry_out(work, tool.writes, context).await?,
            // The model can do better the next time.
            Err(why) => failure(why),
        }
        .into())
    }
}

/// The last line of output.
fn glimpse(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.trim_end().rsplit(['\n', '\r']).next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(GLIMPSE).collect()
}

/// What a model should know before its first call.
fn instructions(place: &Place) -> String {
    let policy = &place.policy;
    let kept = match place.fate {
        Fate::Commit => {
            "What a call changes in the workspace is committed to the user\'s directory when it is over, but for what could harm \
             them, such as git hooks. Each call begins with an empty /tmp."
        }
        Fate::Discard | Fate::Patch(_) => {
            "The calls share one sandbox: files stay, the workspace\'s and those of /tmp. The user\'s directory itself is not \
             changed."
        }
    };
    format!(
        "A sandbox around one workspace. {} Paths are relative to the workspace. Variables, directory and processes of a script \
         end with it. {kept} A program that is not found is not allowed: `policy` tells what is.",
        policy.about.trim(),
    )
}
