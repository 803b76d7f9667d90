package server

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
)

// class says which slots a request takes.
type class uint8

const (
	controlClass class = iota
	ingestClass
	healthClass // takes none: it must answer when nothing else does
	streamClass // goes on for ever: has slots of its own
)

// route is one line of the table that both serves and documents.
type route struct {
	method, pattern string
	class           class
	reads           bool // changes nothing: a busy server says 503 and not 429
	pages           audience
	handle          handler
	operation
	schema *huma.Schema // of the body, if it is read by readJSON
}

// operation is what the OpenAPI document says of a route. Path parameters stand in the pattern.
type operation struct {
	id, summary string
	query       []parameter
	body        any      // a value of the body's JSON type; nil without a body
	bodyMedia   []string // application/json by default
	optional    bool     // the body may be empty
	answer      any      // a value of the answer's JSON type; nil for an answer without one
	status      int      // 200 by default
	media       []string // further media types of the answer; the only ones if answer is nil
}

// parameter is one of the query string; its type is that of kind, or a whole number in a span.
type parameter struct {
	name string
	kind any
	what string
}

// span is the kind of a whole number within bounds.
type span struct{ least, most int }

// messages is the body of an ingest route: a message, or many.
type messages struct{}

// anything is a body that nobody looks at.
type anything struct{}

var (
	tableMedia = []string{"text/csv", "application/x-ndjson", "application/vnd.apache.parquet"}
)

var safeParameter = parameter{"safe", true, "Whether CSV is for a spreadsheet: texts that would be formulas get an apostrophe before them"}

// table returns every route there is.
func (s *Server) table() []route {
	routes := []route{
		{method: "GET", pattern: "/{$}", class: healthClass, reads: true, pages: linked, handle: s.front, operation: operation{id: "front", summary: "What this is", media: []string{"text/html"}}},
		{method: "GET", pattern: "/openapi.json", class: healthClass, reads: true, pages: linked, handle: s.getOpenAPI, operation: operation{id: "openapi", summary: "This document", answer: map[string]any{}}},
		{method: "GET", pattern: "/healthz", class: healthClass, reads: true, pages: harmless, handle: s.healthz, operation: operation{id: "healthz", summary: "Whether the process lives", answer: api.Health{}}},
		{method: "GET", pattern: "/readyz", class: healthClass, reads: true, pages: harmless, handle: s.readyz, operation: operation{id: "readyz", summary: "Whether the node serves; 503 with the same body while it does not", answer: api.Health{}}},
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
			query: []parameter{{"q", "", "The statement"}, {"consistency", "", "leader, linearizable or stale"}, {"max_rows", span{0, 1 << 30}, "The most rows to answer"}, safeParameter}, answer: api.Answer{}, media: tableMedia}},
		{method: "POST", pattern: "/v1/parse", reads: true, handle: s.parse, operation: operation{id: "parse", summary: "Tree, canonical text, mistakes and tokens of a text",
			body: api.ParseRequest{}, answer: api.Parsed{}}},
		{method: "POST", pattern: "/v1/format", reads: true, handle: s.format, operation: operation{id: "format", summary: "Canonical text of a tree",
			body: api.FormatRequest{}, answer: api.Formatted{}}},
		{method: "POST", pattern: "/v1/complete", reads: true, handle: s.complete, operation: operation{id: "complete", summary: "What may stand at a place of a text",
			body: api.CompleteRequest{}, answer: api.Completion{}}},
	}
}

func (s *Server) recordRoutes() []route {
	before := parameter{"before", "", "The next of the page before"}
	limit := func(most int) parameter { return parameter{"limit", span{1, most}, "The most entries of a page"} }
	return []route{
		{method: "GET", pattern: "/v1/profiles/{id}", reads: true, handle: s.getProfile, operation: operation{id: "profile", summary: "What is known of a profile, found by any of its ids",
			query: []parameter{{"segments", true, "Whether to say which segments it is in; true by default"}}, answer: api.Profile{}}},
		{method: "GET", pattern: "/v1/profiles/{id}/events", reads: true, handle: s.getTimeline, operation: operation{id: "profileEvents", summary: "The messages received for a profile, newest first",
			query: []parameter{limit(1000), before}, answer: api.Timeline{}}},
		{method: "GET", pattern: "/v1/segments", reads: true, handle: s.getSegments, operation: operation{id: "segments", summary: "All saved segments", answer: api.Segments{}}},
		{method: "GET", pattern: "/v1/segments/{name}", reads: true, handle: s.getSegment, operation: operation{id: "segment", summary: "One saved segment", answer: api.Segment{}}},
		{method: "PUT", pattern: "/v1/segments/{name}", handle: s.putSegment, operation: operation{id: "putSegment", summary: "Save a segment",
			query: []parameter{{"replace", true, "Whether it may exist already; true by default"}}, body: api.SegmentRequest{}, answer: api.Segment{}}},
		{method: "DELETE", pattern: "/v1/segments/{name}", handle: s.deleteSegment, operation: operation{id: "deleteSegment", summary: "Drop a segment", status: http.StatusNoContent}},
		{method: "GET", pattern: "/v1/segments/{name}/members", reads: true, handle: s.getMembers, operation: operation{id: "members", summary: "The members of a segment: pages as JSON, all of them as CSV, NDJSON or Parquet",
			query: []parameter{limit(100_000), {"after", "", "The next of the page before"}, safeParameter}, answer: api.Members{}, media: tableMedia}},
		{method: "GET", pattern: "/v1/segments/{name}/members/{id}", reads: true, handle: s.getMembership, operation: operation{id: "membership", summary: "Whether a profile is in a segment", answer: api.Membership{}}},
		{method: "GET", pattern: "/v1/lists", reads: true, handle: s.getLists, operation: operation{id: "lists", summary: "The static lists", answer: api.Lists{}}},
		{method: "PUT", pattern: "/v1/lists/{name}", handle: s.putList, operation: operation{id: "editList", summary: "Add ids to a static list and remove others", body: api.ListRequest{}, answer: api.ListEdited{}}},
		{method: "DELETE", pattern: "/v1/lists/{name}", handle: s.deleteList, operation: operation{id: "deleteList", summary: "Drop a static list; refused while a segment asks it", status: http.StatusNoContent}},
		{method: "GET", pattern: "/v1/catalog", reads: true, handle: s.getCatalog, operation: operation{id: "catalog", summary: "Everything that has a name, and its memory", answer: api.Catalog{}}},
		{method: "GET", pattern: "/v1/rejects", reads: true, handle: s.getRejects, operation: operation{id: "rejects", summary: "The latest messages that could not be taken, newest first",
			query: []parameter{limit(10_000), before}, answer: api.Rejects{}}},
	}
}

func (s *Server) liveRoutes() []route {
	name := parameter{"format", "", "native, segment-track, segment-identify, cohort-batch or cloudevent"}
	return []route{
		{method: "GET", pattern: "/v1/stream", class: streamClass, reads: true, handle: s.stream, operation: operation{id: "stream",
			summary: "WebSocket, subprotocol muster.v1: who enters and leaves", status: http.StatusSwitchingProtocols}},
		{method: "GET", pattern: "/v1/segments/{name}/changes", class: streamClass, reads: true, handle: s.getChanges, operation: operation{id: "segmentChanges",
			summary: "Who entered and left since a cursor, waiting for more; as server-sent events without an end",
			query: []parameter{{"after", "", "A cursor; without one what happens from now on"}, {"wait", "", "How long to wait for a change, such as 30s; 0 by default"},
				{"limit", span{1, 10_000}, "The most changes of an answer; 1,000"}, {"from", "", "snapshot, to begin with the members (events only)"}, {"fields", "", "Attributes to tell, with commas"}, name},
			answer: api.Changes{}, media: []string{"text/event-stream"}}},
		{method: "GET", pattern: "/v1/segments/{name}/stats", reads: true, handle: s.getStats, operation: operation{id: "segmentStats",
			summary: "Size, enters and exits of a segment over time", query: []parameter{{"from", "", "RFC 3339; a day ago by default"}, {"to", "", "RFC 3339; now by default"}, {"step", "", "Such as 1h"}}, answer: api.SegmentStats{}}},
		{method: "GET", pattern: "/v1/consumers", reads: true, handle: s.getConsumers, operation: operation{id: "consumers", summary: "The durable subscribers and their acknowledged cursors", answer: api.Consumers{}}},
		{method: "DELETE", pattern: "/v1/consumers/{name}", handle: s.deleteConsumer, operation: operation{id: "deleteConsumer", summary: "Forget a durable subscriber", status: http.StatusNoContent}},
		{method: "GET", pattern: "/v1/webhooks", reads: true, handle: s.getWebhooks, operation: operation{id: "webhooks", summary: "All webhooks and how they are doing", answer: api.Webhooks{}}},
		{method: "GET", pattern: "/v1/webhooks/{name}", reads: true, handle: s.getWebhook, operation: operation{id: "webhook", summary: "One webhook", answer: api.Webhook{}}},
		{method: "PUT", pattern: "/v1/webhooks/{name}", handle: s.putWebhook, operation: operation{id: "putWebhook", summary: "Save a webhook; a disabled one is enabled", body: api.WebhookRequest{}, answer: api.Webhook{}}},
		{method: "DELETE", pattern: "/v1/webhooks/{name}", handle: s.deleteWebhook, operation: operation{id: "deleteWebhook", summary: "Remove a webhook and what it has not delivered", status: http.StatusNoContent}},
		{method: "GET", pattern: "/v1/webhooks/{name}/deliveries", reads: true, handle: s.getDeliveries, operation: operation{id: "deliveries", summary: "The latest tries of a webhook and its dead messages", answer: api.Deliveries{}}},
		{method: "POST", pattern: "/v1/webhooks/{name}/replay", handle: s.replayWebhook, operation: operation{id: "replayWebhook", summary: "Send changes from a cursor on again, or the dead messages", body: api.ReplayRequest{}, answer: api.Webhook{}}},
	}
}

// ingestRoutes are the paths of Segment, its short ones, RudderStack's and Jitsu's.
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
			query:   []parameter{{"source", "", "Identity of an imported file: its lines are known by their _line"}},
			body:    messages{}, bodyMedia: []string{"application/x-ndjson", "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"}, optional: true, answer: api.IngestResult{}}},
		post("/v1/batch", "batch", "Many messages, each with its type", s.ingest(0)),
		post("/v1/import", "import", "Many messages, each with its type; not from pages of other sites", s.importBatch),
		post("/v1/b", "batchShort", "Many messages, each with its type", s.ingest(0)),
		post("/b", "batchShortest", "Many messages, each with its type", s.ingest(0)),
		post("/beacon/v1/batch", "beacon", "Many messages, from RudderStack's browser SDK", s.ingest(0)),
		{method: "POST", pattern: "/v1/m", class: ingestClass, pages: openPages, handle: s.metricsDropped, operation: operation{id: "sdkMetrics",
			summary: "What SDKs tell about themselves: dropped", body: anything{}, optional: true, answer: api.Success{}}},
		get("/v1/projects/{key}/settings", "settings", "What Segment's browser SDK asks first", s.settings),
		get("/projects/{key}/settings", "settingsShort", "What Segment's mobile SDKs ask first", s.settings),
		get("/sourceConfig", "sourceConfig", "What RudderStack's browser SDK asks first", s.sourceConfig),
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
