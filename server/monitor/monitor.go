// Package monitor shows a running server to its operator's tools over HTTP:
// /metrics for Prometheus, /healthz and /readyz. It is meant for a loopback
// address; nothing that it shows holds a name, an id or an address of anybody.
//
// Only qpc-server links it: a server inside a desktop app has no such port.
package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"quicprochat/server"
	"quicprochat/server/metrics"
)

// Server is what is shown.
type Server interface {
	Metrics() []metrics.Family
	Ready(ctx context.Context) []server.Part
	Alive(ctx context.Context) error
}

const (
	// readTime, writeTime and idleTime bound what a connection may take.
	readTime  = 5 * time.Second
	writeTime = 20 * time.Second
	idleTime  = time.Minute
	maxHeader = 8 << 10 // bytes
	// atOnce bounds the requests that are answered at the same time.
	atOnce = 8
	// aliveTime is how long the server has to answer a packet.
	aliveTime = 2 * time.Second
)

// Serve answers on ln until ctx ends, and closes it.
func Serve(ctx context.Context, ln net.Listener, handler http.Handler, log *slog.Logger) error {
	s := &http.Server{
		Handler: handler, ReadTimeout: readTime, ReadHeaderTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}

// Handler shows s. Unless exposed, it answers only those who ask for this
// machine by a name of its own: a web page in a browser here, whose name was
// made to lead to it, gets nothing.
func Handler(s Server, exposed bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry(s), promhttp.HandlerOpts{MaxRequestsInFlight: atOnce, ErrorHandling: promhttp.HTTPErrorOnError}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { healthz(s, w, r) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { readyz(s, w, r) })
	free := make(chan struct{}, atOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !exposed && !isLocal(r.Host) {
			http.Error(w, "This is for the server's own machine.", http.StatusForbidden)
			return
		}
		select {
		case free <- struct{}{}:
			defer func() { <-free }()
		default:
			http.Error(w, "Too many requests at once.", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func healthz(s Server, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), aliveTime)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := s.Alive(ctx); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool          `json:"ready"`
	Parts []server.Part `json:"parts"`
}

func readyz(s Server, w http.ResponseWriter, r *http.Request) {
	answer := readiness{Ready: true, Parts: s.Ready(r.Context())}
	for _, p := range answer.Parts {
		answer.Ready = answer.Ready && p.OK
	}
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(answer) // where it fails, the one who asked is gone
}

func registry(s Server) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// collector gives Prometheus the server's own figures.
type collector struct{ server Server }

// Describe names nothing: which figures there are is the server's matter.
func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, f := range c.server.Metrics() {
		desc := prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)
		for _, s := range f.Samples {
			out <- metric(desc, f.Kind, s)
		}
	}
}

func metric(desc *prometheus.Desc, kind metrics.Kind, s metrics.Sample) prometheus.Metric {
	var m prometheus.Metric
	var err error
	switch kind {
	case metrics.Counter:
		m, err = prometheus.NewConstMetric(desc, prometheus.CounterValue, s.Value, s.Values...)
	case metrics.Gauge:
		m, err = prometheus.NewConstMetric(desc, prometheus.GaugeValue, s.Value, s.Values...)
	case metrics.Histogram:
		m, err = prometheus.NewConstHistogram(desc, s.Count, s.Sum, s.Buckets, s.Values...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
