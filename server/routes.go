package server

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
)

// class determines which slots a request takes.
type class uint8

const (
	controlClass class = iota
	ingestClass
	healthClass // takes no slot: must answer when nothing else does
	streamClass // endless: has its own slots
)

// route is one line of the table, which both serves and documents.
type route struct {
	method, pattern string
	class           class
	reads           bool // changes nothing: a busy server answers 503, not 429
	pages           audience
	handle          handler
	operation
	schema *huma.Schema // of the body, if readJSON reads it
}

// operation is the OpenAPI documentation of a route. Path parameters are in the pattern.
type operation struct {
	id, summary string
	query       []parameter
	body        any      // a value of the body's JSON type; nil if there is no body
	bodyMedia   []string // application/json by default
	optional    bool     // the body may be empty
	answer      any      // a value of the answer's JSON type; nil if it has none
	status      int      // 200 by default
	media       []string // other media types of the answer; the only ones if answer is nil
}

// parameter is a parameter of the query string. Its type is that of kind; a span is a whole number.
type parameter struct {
	name string
	kind any
	what string
}

// span is the kind of a whole number between least and most.
type span struct{ least, most int }

// messages is the body of an ingest route: one message or many.
type messages struct{}

// anything is a body that is ignored.
type anything struct{}

var (
	tableMedia = []string{"text/csv", "application/x-ndjson", "application/vnd.apache.parquet"}
)

var safeParameter = parameter{"safe", true, "Make CSV safe for spreadsheets: a text that would be a formula gets an apostrophe before it"}

// table returns all routes.
func (s *Server) table() []route {
	routes := []route{
		{method: "GET", pattern: "/{$}", class: healthClass, reads: true, pages: linked, handle: s.front, operation: operation{id: "front", summary: "A page about this server", media: []string{"text/html"}}},
		{method: "GET", pattern: "/openapi.json", class: healthClass, reads: true, pages: linked, handle: s.getOpenAPI, operation: operation{id: "openapi", summary: "This document", answer: map[string]any{}}},
		{method: "GET", pattern: "/healthz", class: healthClass, reads: true, pages: harmless, handle: s.healthz, operation: operation{id: "healthz", summary: "Whether the process is alive", answer: api.Health{}}},
		{method: "GET", pattern: "/readyz", class: healthClass, reads: true, pages: harmless, handle: s.readyz, operation: operation{id: "readyz", summary: "Whether the node is ready; 503 with the same body if not", answer: api.Health{}}},
		{method: "GET", pattern: "/metrics", class: healthClass, reads: true, handle: s.getMetrics, operation: operation{id: "metrics", summary: "Metrics for Prometheus", media: []string{"text/plain"}}},
	}
	routes = append(routes, s.profilingRoutes()...)
	routes = append(routes, s.queryRoutes()...)
	routes = append(routes, s.recordRoutes()...)
	routes = append(routes, s.liveRoutes()...)
	return append(routes, s.ingestRoutes()...)
}

func (s *Server) queryRoutes() []route {
	return []route{
		{method: "POST", pattern: "/v1/query", reads: true, handle: s.postQuery, operation: operation{id: "query", summary: "Answer a statement",
			query: []parameter{safeParameter}, body: api.QueryRequest{}, answer: api.Answer{}, media: tableMedia}},
		{method: "GET", pattern: "/v1/query", reads: true, handle: s.getQuery, operation: operation{id: "queryRead", summary: "Answer a statement that changes nothing",
			query: []parameter{{"q", "", "The statement"}, {"consistency", "", "leader, linearizable or stale"}, {"max_rows", span{0, 1 << 30}, "The largest number of rows"}, safeParameter}, answer: api.Answer{}, media: tableMedia}},
		{method: "POST", pattern: "/v1/parse", reads: true, handle: s.parse, operation: operation{id: "parse", summary: "Tree, canonical text, mistakes and tokens of a text",
			body: api.ParseRequest{}, answer: api.Parsed{}}},
		{method: "POST", pattern: "/v1/format", reads: true, handle: s.format, operation: operation{id: "format", summary: "Canonical text of a tree",
			body: api.FormatRequest{}, answer: api.Formatted{}}},
		{method: "POST", pattern: "/v1/complete", reads: true, handle: s.complete, operation: operation{id: "complete", summary: "Completions at a position in a text",
			body: api.CompleteRequest{}, answer: api.Completion{}}},
	}
}

func (s *Server) recordRoutes() []route {
	before := parameter{"before", "", "The next of the previous page"}
	limit := func(most int) parameter {
		return parameter{"limit", span{1, most}, "The largest number of entries of a page"}
	}
	return []route{
		{method: "GET", pattern: "/v1/profiles/{id}", reads: true, handle: s.getProfile, operation: operation{id: "profile", summary: "A profile, by any of its ids",
			query: []parameter{{"segments", true, "Whether to include its segments; true by default"}}, answer: api.Profile{}}},
		{method: "GET", pattern: "/v1/profiles/{id}/events", reads: true, handle: s.getTimeline, operation: operation{id: "profileEvents", summary: "The messages received for a profile, newest first",
			query: []parameter{limit(1000), before}, answer: api.Timeline{}}},
		{method: "GET", pattern: "/v1/segments", reads: true, handle: s.getSegments, operation: operation{id: "segments", summary: "All saved segments", answer: api.Segments{}}},
		{method: "GET", pattern: "/v1/segments/{name}", reads: true, handle: s.getSegment, operation: operation{id: "segment", summary: "One saved segment", answer: api.Segment{}}},
		{method: "PUT", pattern: "/v1/segments/{name}", handle: s.putSegment, operation: operation{id: "putSegment", summary: "Save a segment",
			query: []parameter{{"replace", true, "Whether to replace an existing segment; true by default"}}, body: api.SegmentRequest{}, answer: api.Segment{}}},
		{method: "DELETE", pattern: "/v1/segments/{name}", handle: s.deleteSegment, operation: operation{id: "deleteSegment", summary: "Drop a segment", status: http.StatusNoContent}},
		{method: "GET", pattern: "/v1/segments/{name}/members", reads: true, handle: s.getMembers, operation: operation{id: "members", summary: "The members of a segment: pages as JSON, all of them as CSV, NDJSON or Parquet",
			query: []parameter{limit(100_000), {"after", "", "The next of the previous page"}, safeParameter}, answer: api.Members{}, media: tableMedia}},
		{method: "GET", pattern: "/v1/segments/{name}/members/{id}", reads: true, handle: s.getMembership, operation: operation{id: "membership", summary: "Whether a profile is in a segment", answer: api.Membership{}}},
		{method: "GET", pattern: "/v1/lists", reads: true, handle: s.getLists, operation: operation{id: "lists", summary: "The static lists", answer: api.Lists{}}},
		{method: "PUT", pattern: "/v1/lists/{name}", handle: s.putList, operation: operation{id: "editList", summary: "Add ids to a static list and remove others", body: api.ListRequest{}, answer: api.ListEdited{}}},
		{method: "DELETE", pattern: "/v1/lists/{name}", handle: s.deleteList, operation: operation{id: "deleteList", summary: "Drop a static list; refused while a segment uses it", status: http.StatusNoContent}},
		{method: "GET", pattern: "/v1/catalog", reads: true, handle: s.getCatalog, operation: operation{id: "catalog", summary: "Attributes, events, properties and segments, and their memory", answer: api.Catalog{}}},
		{method: "GET", pattern: "/v1/rejects", reads: true, handle: s.getRejects, operation: operation{id: "rejects", summary: "The latest rejected messages, newest first",
			query: []parameter{limit(10_000), before}, answer: api.Rejects{}}},
	}
}

func (s *Server) liveRoutes() []route {
	name := parameter{"format", "", "native, segment-track, segment-identify, cohort-batch or cloudevent"}
	return []route{
		{method: "GET", pattern: "/v1/stream", class: streamClass, reads: true, handle: s.stream, operation: operation{id: "stream",
			summary: "WebSocket, subprotocol muster.v1: profiles that enter and leave segments", status: http.StatusSwitchingProtocols}},
		{method: "GET", pattern: "/v1/segments/{name}/changes", class: streamClass, reads: true, handle: s.getChanges, operation: operation{id: "segmentChanges",
			summary: "Profiles that entered and left since a cursor, with an optional wait; or an endless stream of server-sent events",
			query: []parameter{{"after", "", "A cursor; from now on by default"}, {"wait", "", "How long to wait for a change, such as 30s; 0 by default"},
				{"limit", span{1, 10_000}, "The largest number of changes of an answer; 1,000 by default"}, {"from", "", "snapshot, to begin with the members (events only)"}, {"fields", "", "Attributes to include, separated by commas"}, name},
			answer: api.Changes{}, media: []string{"text/event-stream"}}},
		{method: "GET", pattern: "/v1/segments/{name}/stats", reads: true, handle: s.getStats, operation: operation{id: "segmentStats",
			summary: "Size, enters and exits of a segment over time", query: []parameter{{"from", "", "RFC 3339; a day ago by default"}, {"to", "", "RFC 3339; now by default"}, {"step", "", "Such as 1h"}}, answer: api.SegmentStats{}}},
		{method: "GET", pattern: "/v1/consumers", reads: true, handle: s.getConsumers, operation: operation{id: "consumers", summary: "The durable subscribers and their acknowledged cursors", answer: api.Consumers{}}},
		{method: "DELETE", pattern: "/v1/consumers/{name}", handle: s.deleteConsumer, operation: operation{id: "deleteConsumer", summary: "Forget a durable subscriber", status: http.StatusNoContent}},
		{method: "GET", pattern: "/v1/webhooks", reads: true, handle: s.getWebhooks, operation: operation{id: "webhooks", summary: "All webhooks and their state", answer: api.Webhooks{}}},
		{method: "GET", pattern: "/v1/webhooks/{name}", reads: true, handle: s.getWebhook, operation: operation{id: "webhook", summary: "One webhook", answer: api.Webhook{}}},
		{method: "PUT", pattern: "/v1/webhooks/{name}", handle: s.putWebhook, operation: operation{id: "putWebhook", summary: "Save a webhook; a disabled one is enabled", body: api.WebhookRequest{}, answer: api.Webhook{}}},
		{method: "DELETE", pattern: "/v1/webhooks/{name}", handle: s.deleteWebhook, operation: operation{id: "deleteWebhook", summary: "Remove a webhook and what it has not delivered", status: http.StatusNoContent}},
		{method: "GET", pattern: "/v1/webhooks/{name}/deliveries", reads: true, handle: s.getDeliveries, operation: operation{id: "deliveries", summary: "The latest tries of a webhook and its dead messages", answer: api.Deliveries{}}},
		{method: "POST", pattern: "/v1/webhooks/{name}/replay", handle: s.replayWebhook, operation: operation{id: "replayWebhook", summary: "Send changes from a cursor on again, or the dead messages", body: api.ReplayRequest{}, answer: api.Webhook{}}},
	}
}

// ingestRoutes returns the paths of Segment, its short ones, and those of RudderStack and Jitsu.
func (s *Server) ingestRoutes() []route {
	post := func(pattern, id, summary string, handle handler) route {
		return route{method: "POST", pattern: pattern, class: ingestClass, pages: openPages, handle: handle,
			operation: operation{id: id, summary: summary, body: messages{}, answer: api.Success{}}}
	}
	get := func(pattern, id, summary string, handle handler) route {
		return route{method: "GET", pattern: pattern, class: healthClass, reads: true, pages: openPages, handle: handle,
			operation: operation{id: id, summary: summary, answer: map[string]any{}}}
	}
	routes := []route{
		{method: "POST", pattern: "/v1/events", class: ingestClass, pages: openPages, handle: s.events, operation: operation{id: "events",
			summary: "Messages as NDJSON or a JSON array, of any length, or CloudEvents",
			query:   []parameter{{"source", "", "Identifies an imported file, whose lines are identified by their _line"}},
			body:    messages{}, bodyMedia: []string{"application/x-ndjson", "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"}, optional: true, answer: api.IngestResult{}}},
		post("/v1/batch", "batch", "Many messages, each with its type", s.ingest(0)),
		post("/v1/import", "import", "Many messages, each with its type; not from pages of other sites", s.importBatch),
		post("/v1/b", "batchShort", "Many messages, each with its type", s.ingest(0)),
		post("/b", "batchShortest", "Many messages, each with its type", s.ingest(0)),
		post("/beacon/v1/batch", "beacon", "Many messages, from RudderStack's browser SDK", s.ingest(0)),
		{method: "POST", pattern: "/v1/m", class: ingestClass, pages: openPages, handle: s.dropSDKMetrics, operation: operation{id: "sdkMetrics",
			summary: "Metrics of SDKs; they are discarded", body: anything{}, optional: true, answer: api.Success{}}},
		get("/v1/projects/{key}/settings", "settings", "Settings that Segment's browser SDK requests first", s.settings),
		get("/projects/{key}/settings", "settingsShort", "Settings that Segment's mobile SDKs request first", s.settings),
		get("/sourceConfig", "sourceConfig", "Settings that RudderStack's browser SDK requests first", s.sourceConfig),
	}
	for kind := engine.Identify; kind <= engine.Alias; kind++ {
		name := kind.String()
		routes = append(routes,
			post("/v1/"+name, name, "One "+name+" message", s.ingest(kind)),
			post("/v1/"+name[:1], name+"Short", "One "+name+" message", s.ingest(kind)),
			post("/api/s/"+name, name+"Jitsu", "One "+name+" message, from Jitsu's browser SDK", s.ingest(kind)),
			post("/api/s/s2s/"+name, name+"JitsuServer", "One "+name+" message, from Jitsu's server SDK", s.ingest(kind)))
	}
	return routes
}
