package wire

import (
	"context"
	"log/slog"
	"time"

	"github.com/quic-go/quic-go"
)

// ServeOptions are a server's settings. The zero value is ready to use.
type ServeOptions struct {
	// Logger takes what an operator should see; nil means nothing. It gets
	// method names and errors, never addresses or payloads.
	Logger *slog.Logger
	// Intercept, where set, is asked before every call that the method's access
	// allows, when only the header of the request was read. Its error is the
	// call's answer. It is the place for rate limits. ctx is the one that the
	// handler will get.
	Intercept func(ctx context.Context, p *Peer, m Method) error

	// Operator tells whether an account may call the methods with ACCESS_ADMIN.
	// It is asked before each such call, after Intercept, so that the answer is
	// as of now; its error is the call's answer. Where it is not set, those calls
	// are refused.
	Operator func(ctx context.Context, account []byte) error

	// Explain, where set, turns the error of a handler that is no [Error] into
	// what the caller is told; then it is not logged here. Nil leaves it at
	// ERROR_CODE_INTERNAL and a line in the log.
	Explain func(m Method, err error) *Error
	// Observer takes the figures.
	Observer Observer

	// Connections bounds the connections; nil means one of [NewConnections]
	// with its defaults.
	Connections *Connections
	// MaxStreams bounds the concurrent calls of a connection; 0 means 64.
	MaxStreams int
	// RequestMemory bounds the bytes of a connection's large requests that are
	// in memory; further ones get ERROR_CODE_RATE_LIMITED. 0 means 32 MiB.
	RequestMemory int
	// AllRequestMemory bounds the bytes of requests that are in memory, of all
	// connections, beyond the first 4 KiB of each; one network can have a quarter
	// of it, but always one request. Further ones get ERROR_CODE_RATE_LIMITED. 0
	// means 256 MiB.
	AllRequestMemory int
	// ResetKey makes stateless resets (RFC 9000 §10.3); nil derives it from
	// the TLS configuration's first certificate, where it has one.
	ResetKey *[32]byte

	// HandshakeTimeout is how long a client may be silent while the connection
	// is made; 0 means 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout is how long a client may be silent; 0 means 60 s.
	IdleTimeout time.Duration
	// ReadTimeout is how long a request may take to arrive once its stream is
	// open, and WriteTimeout how long a client may take to accept a response;
	// 0 means 15 s. A large one has more time in proportion: a request as it arrives.
	ReadTimeout, WriteTimeout time.Duration

	// PushBuffer bounds the bytes of pushes that wait for a client; 0 means 1 MiB.
	PushBuffer int
	// PushStall is how long a client may read none of its pushes before it is
	// dropped; 0 means 20 s.
	PushStall time.Duration

	// DrainTimeout is how long calls under way have when the server says
	// goodbye; 0 means 10 s.
	DrainTimeout time.Duration
	// Linger is how long the client then has to close; 0 means 1 s.
	Linger time.Duration
}

func (o ServeOptions) withDefaults() ServeOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Connections == nil {
		o.Connections = NewConnections(0, 0, 0)
	}
	o.MaxStreams = orDefault(o.MaxStreams, 64)
	o.RequestMemory = orDefault(o.RequestMemory, 32<<20)
	o.AllRequestMemory = orDefault(o.AllRequestMemory, 256<<20)
	o.HandshakeTimeout = orDefault(o.HandshakeTimeout, 5*time.Second)
	o.IdleTimeout = orDefault(o.IdleTimeout, time.Minute)
	o.ReadTimeout = orDefault(o.ReadTimeout, 15*time.Second)
	o.WriteTimeout = orDefault(o.WriteTimeout, 15*time.Second)
	o.PushBuffer = orDefault(o.PushBuffer, 1<<20)
	o.PushStall = orDefault(o.PushStall, 20*time.Second)
	o.DrainTimeout = orDefault(o.DrainTimeout, 10*time.Second)
	o.Linger = orDefault(o.Linger, time.Second)
	return o
}

func (o *ServeOptions) quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout: o.HandshakeTimeout,
		MaxIdleTimeout:       o.IdleTimeout,
		// What a client that only sends can make us hold; the windows grow with
		// what is read.
		InitialStreamReceiveWindow:     128 << 10,
		InitialConnectionReceiveWindow: 256 << 10,
		MaxStreamReceiveWindow:         2 << 20,
		MaxConnectionReceiveWindow:     4 << 20,
		MaxIncomingStreams:             int64(o.MaxStreams),
		MaxIncomingUniStreams:          -1,
		// A client that resets its streams must not get new ones while the
		// handlers of the old still run.
		RequireStreamCreditRelease: true,
	}
}
