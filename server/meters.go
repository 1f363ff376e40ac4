package server

import (
	"context"
	"runtime"
	"strings"
	"time"

	"quicprochat/core/version"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/metrics"
	"quicprochat/server/storage"
)

// Bounds of histograms: in seconds, and in calls.
var (
	timeBounds  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	batchBounds = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
)

// meters are the server's figures. Their labels are methods, classes and
// kinds: nothing of anybody.
type meters struct {
	set metrics.Set

	calls        *metrics.CounterOf
	callTime     *metrics.HistogramOf
	callBytes    *metrics.CounterOf
	blobBytes    *metrics.CounterOf
	limited      *metrics.CounterOf
	posts        *metrics.CounterOf
	items        *metrics.CounterOf
	pushes       *metrics.CounterOf
	pushBytes    *metrics.CounterOf
	transactions *metrics.CounterOf
	txTime       *metrics.HistogramOf
	txWait       *metrics.HistogramOf
	txCalls      *metrics.HistogramOf
	expired      *metrics.CounterOf
	expireFailed *metrics.CounterOf
	failures     *metrics.CounterOf
	reloads      *metrics.CounterOf
}

func newMeters() *meters {
	m := &meters{}
	s := &m.set
	m.calls = s.Counter("qpc_calls_total", "Calls by method and outcome: ok, ended (the caller was gone), or the error's code.", "method", "outcome")
	m.callTime = s.Histogram("qpc_call_seconds", "How long the handlers of calls worked, by method.", timeBounds, "method")
	m.callBytes = s.Counter("qpc_call_bytes_total", "Payload of calls, by method and direction.", "method", "direction")
	m.blobBytes = s.Counter("qpc_blob_bytes_total", "Payload of files, by direction.", "direction")
	m.limited = s.Counter("qpc_rate_limited_total", "Calls that were refused because there were too many, by class.", "class")
	m.posts = s.Counter("qpc_posts_total", "Posts and commits that were taken, by outcome: stored, or duplicate.", "outcome")
	m.items = s.Counter("qpc_items_appended_total", "Items that posts and commits put into queues.")
	m.pushes = s.Counter("qpc_pushes_total", "Pushes to connected devices, by event.", "event")
	m.pushBytes = s.Counter("qpc_push_bytes_total", "Bytes of pushes.")
	m.transactions = s.Counter("qpc_store_transactions_total", "Transactions that change the store, by outcome: ok, or failed.", "outcome")
	m.txTime = s.Histogram("qpc_store_transaction_seconds", "How long transactions took to be durable.", timeBounds)
	m.txWait = s.Histogram("qpc_store_wait_seconds", "How long the first call of a transaction waited for its turn.", timeBounds)
	m.txCalls = s.Histogram("qpc_store_batch_calls", "How many calls shared a transaction.", batchBounds)
	m.expired = s.Counter("qpc_expired_total", "What was deleted because it was out of time, by kind: rows, or blobs.", "kind")
	m.expireFailed = s.Counter("qpc_expire_failures_total", "Runs of the expiry that failed.")
	m.failures = s.Counter("qpc_trouble_failures_total", "Failures because of a trouble, by part.", "part")
	m.reloads = s.Counter("qpc_reloads_total", "Reloads of the configuration, by outcome: ok, or refused.", "outcome")
	for _, c := range []*metrics.CounterOf{m.transactions, m.reloads} { // so that an alert sees the first one grow
		c.Add(0, "ok")
	}
	m.transactions.Add(0, "failed")
	m.posts.Add(0, "stored")
	m.limited.Add(0, "login")
	m.reloads.Add(0, "refused")
	return m
}

// look adds the figures that are looked up in the server.
func (m *meters) look(s *Server) {
	set := &m.set
	set.Func(metrics.Gauge, "qpc_build_info", "The version that runs.", "version", func() map[string]float64 {
		return map[string]float64{version.Version + " " + runtime.Version(): 1}
	})
	set.Value(metrics.Gauge, "qpc_start_time_seconds", "When the server was started, in Unix time.", func() float64 { return float64(s.made.Unix()) })
	counts := func(f func(wire.ConnectionCounts) float64) func() float64 {
		return func() float64 { return f(s.conns.Counts()) }
	}
	set.Value(metrics.Gauge, "qpc_connections", "Connections.", counts(func(c wire.ConnectionCounts) float64 { return float64(c.Open) }))
	set.Value(metrics.Gauge, "qpc_connections_limit", "Connections that are allowed.", func() float64 { return float64(s.settings().Limits.Connections) })
	set.Value(metrics.Gauge, "qpc_handshakes", "Connections that are not made yet.", counts(func(c wire.ConnectionCounts) float64 { return float64(c.Handshaking) }))
	set.Value(metrics.Counter, "qpc_connections_made_total", "Connections that were made.", counts(func(c wire.ConnectionCounts) float64 { return float64(c.Made) }))
	set.Value(metrics.Counter, "qpc_handshakes_failed_total", "Connections that ended before they were made.", counts(func(c wire.ConnectionCounts) float64 { return float64(c.Failed) }))
	set.Value(metrics.Counter, "qpc_addresses_validated_total", "How often a client had to prove its address first.", counts(func(c wire.ConnectionCounts) float64 { return float64(c.Validated) }))
	set.Func(metrics.Counter, "qpc_connections_refused_total", "Connections that were refused, by the bound: total, address, or handshakes.", "bound", func() map[string]float64 {
		c := s.conns.Counts()
		return map[string]float64{"total": float64(c.RefusedTotal), "address": float64(c.RefusedAddress), "handshakes": float64(c.RefusedHandshakes)}
	})
	set.Value(metrics.Gauge, "qpc_requests_arriving", "Requests that are arriving.", counts(func(c wire.ConnectionCounts) float64 { return float64(c.Reading) }))
	set.Value(metrics.Counter, "qpc_streams_refused_total", "Requests that were refused unread because too many were arriving.", counts(func(c wire.ConnectionCounts) float64 { return float64(c.RefusedStreams) }))
	set.Value(metrics.Gauge, "qpc_sessions", "Connected devices.", func() float64 { return float64(s.sessions.Len()) })
	set.Value(metrics.Gauge, "qpc_subscriptions", "Connected devices that wait for their queue.", func() float64 { return float64(s.queues.Len()) })
	set.Value(metrics.Gauge, "qpc_rate_buckets", "Buckets of the rate limits in memory.", func() float64 { return float64(s.limiter.Len() + s.logins.Len()) })
	set.Func(metrics.Gauge, "qpc_ready", "Whether a part of the server can do its work (1) or not (0), as /readyz says.", "part", s.health.figures)
	set.Value(metrics.Gauge, "qpc_disk_free_bytes", "Free space for the data folder; -1: unknown.", func() float64 { return float64(freeSpace(s.cfg.DataDir)) })
	set.Value(metrics.Gauge, "qpc_certificate_expiry_seconds", "Until when the TLS certificate is valid, in Unix time.", func() float64 { return float64(s.certs.expiry().Unix()) })
}

// Metrics gives the server's figures as they are now. No label holds a name, an
// id or an address.
func (s *Server) Metrics() []metrics.Family { return s.meters.set.Gather() }

func (m *meters) observer() wire.Observer {
	upload, _ := wire.MethodOf(&qpcv1.UploadChunkRequest{})
	download, _ := wire.MethodOf(&qpcv1.DownloadRequest{})
	return wire.Observer{
		Call: func(c wire.Call) {
			name := "unknown"
			if c.Method != nil {
				name = methodLabel(*c.Method)
			}
			m.calls.Add(1, name, outcome(c))
			if c.Took > 0 {
				m.callTime.Observe(c.Took.Seconds(), name)
			}
			m.callBytes.Add(c.Received, name, "in")
			m.callBytes.Add(c.Sent, name, "out")
			if c.Method != nil && c.Code == 0 {
				switch c.Method.ID {
				case upload.ID:
					m.blobBytes.Add(c.Received, "in")
				case download.ID:
					m.blobBytes.Add(c.Sent, "out")
				}
			}
		},
		Push: func(event qpcv1.EventType, bytes int) {
			m.pushes.Add(1, word(event.String(), "EVENT_TYPE_"))
			m.pushBytes.Add(bytes)
		},
	}
}

func methodLabel(m wire.Method) string {
	return strings.TrimPrefix(string(m.Name), "qpc.v1.")
}

func outcome(c wire.Call) string {
	switch {
	case c.Ended:
		return "ended"
	case c.Code == 0:
		return "ok"
	}
	return word(c.Code.String(), "ERROR_CODE_")
}

// word is the name of an enum's value in small letters.
func word(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

func (m *meters) transaction(t storage.Transaction) {
	if t.Err != nil {
		m.transactions.Add(1, "failed")
		return
	}
	m.transactions.Add(1, "ok")
	m.txTime.Observe(t.Took.Seconds())
	m.txWait.Observe(max(t.Waited, 0).Seconds())
	m.txCalls.Observe(float64(t.Calls))
}

// meteredStore counts what is posted and what expires.
type meteredStore struct {
	storage.Store
	meters *meters
}

func (s meteredStore) Post(ctx context.Context, p storage.Post) (storage.Posted, error) {
	posted, err := s.Store.Post(ctx, p)
	s.meters.posted(posted, err)
	return posted, err
}

func (s meteredStore) Commit(ctx context.Context, c storage.Commit) (storage.Posted, error) {
	posted, err := s.Store.Commit(ctx, c)
	s.meters.posted(posted, err)
	return posted, err
}

func (s meteredStore) PostBatch(ctx context.Context, posts []storage.Post) []storage.PostOutcome {
	outcomes := s.Store.PostBatch(ctx, posts)
	for _, o := range outcomes {
		s.meters.posted(o.Posted, o.Err)
	}
	return outcomes
}

func (s meteredStore) DeliverSealed(ctx context.Context, d storage.SealedDelivery) (storage.Posted, error) {
	posted, err := s.Store.DeliverSealed(ctx, d)
	s.meters.posted(posted, err)
	return posted, err
}

func (m *meters) posted(p storage.Posted, err error) {
	switch {
	case err != nil:
	case p.Duplicate:
		m.posts.Add(1, "duplicate")
	default:
		m.posts.Add(1, "stored")
		m.items.Add(len(p.Appended))
	}
}

func (s meteredStore) Expire(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.Store.Expire(ctx, now, limit)
	s.meters.expired.Add(n, "rows")
	if err != nil && ctx.Err() == nil {
		s.meters.expireFailed.Add(1)
	}
	return n, err
}
