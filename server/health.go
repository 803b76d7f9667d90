package server

import (
	"context"
	"html/template"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/internal/node"
)

// Health reports the state of the node.
type Health interface {
	Status(ctx context.Context) node.Status
}

func (s *Server) health(r *http.Request) api.Health {
	st := s.node().Health.Status(r.Context())
	h := api.Health{Ready: st.Ready, Degraded: st.Degraded, Reason: st.Reason, Profiles: st.Profiles, Events: st.Events, DiskFree: st.DiskFree}
	for _, e := range st.Skipped {
		h.Skipped = append(h.Skipped, api.SkippedEntry{Group: e.Group, Index: e.Index, What: e.What, At: time.UnixMilli(e.At).UTC().Format(time.RFC3339)})
	}
	for _, shard := range st.Shards {
		h.Shards = append(h.Shards, api.ShardHealth{ShardStat: shardStat(shard.ShardStat), Leader: shard.Leader,
			Profiles: shard.Profiles, Events: shard.Events, LogBytes: shard.LogBytes, Hash: shard.Hash})
	}
	return h
}

// healthz answers 200 while the process runs: a supervisor must not restart a node that is starting.
func (s *Server) healthz(w *answer, r *http.Request) error {
	return writeJSON(w, http.StatusOK, s.health(r))
}

// readyz answers 200 only if the node is ready.
func (s *Server) readyz(w *answer, r *http.Request) error {
	h := s.health(r)
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	return writeJSON(w, status, h)
}

func (s *Server) getMetrics(w *answer, r *http.Request) error {
	promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

func (s *Server) getOpenAPI(w *answer, r *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(s.openapi)
	return err
}

var frontPage = template.Must(template.New("front").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Muster</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}code,pre{background:#8882;border-radius:4px;padding:.1em .3em}pre{padding:1em;overflow-x:auto}</style>
<h1>Muster</h1>
<p>Muster {{.Version}} holds every profile and event of a business in memory and answers who is in a segment.
{{if .Ready}}It has {{.Profiles}} profiles and {{.Events}} events.{{else}}It is not ready: {{.Reason}}.{{end}}</p>
<pre>curl -s {{.URL}}/v1/query -d '{"query": "count"}'</pre>
<ul>
<li><a href="/openapi.json">/openapi.json</a>: the whole API</li>
<li><a href="/v1/catalog">/v1/catalog</a>: attributes, events and properties</li>
<li><a href="/v1/segments">/v1/segments</a>: saved segments</li>
<li><a href="/v1/rejects">/v1/rejects</a>: messages that were rejected</li>
<li><a href="/readyz">/readyz</a>, <a href="/metrics">/metrics</a>: the state of the node</li>
</ul>
<p>Point an analytics SDK that speaks Segment's protocol at <code>{{.URL}}</code>. The language and the API are in docs/QUERY.md and docs/API.md of the source.</p>
</html>
`))

// front is a plain page for people who open the address in a browser.
func (s *Server) front(w *answer, r *http.Request) error {
	st := s.node().Health.Status(r.Context())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	return frontPage.Execute(w, map[string]any{"Version": s.cfg.Version, "Ready": st.Ready, "Reason": st.Reason,
		"Profiles": st.Profiles, "Events": st.Events, "URL": "http://" + r.Host})
}
