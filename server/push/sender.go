package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// sendTimeout bounds one request from its name look-up to its answer.
	sendTimeout = 20 * time.Second
	// timeToLive is how long a push service keeps a message for a device that
	// is off. Whoever is off for longer connects anyway when it is on again.
	timeToLive = 7 * 24 * time.Hour
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 4 << 10
	// longestRetryAfter bounds what a push service can ask for.
	longestRetryAfter = time.Hour
)

// verdict is what a push service's answer means.
type verdict int

const (
	delivered verdict = iota
	gone              // there is no such registration any more
	tryAgain          // it, or the way to it, failed
	refused           // it will not take this
)

// outcome is how a request ended. It names no address.
type outcome struct {
	verdict verdict
	// after is how long the push service wants to be left alone.
	after time.Duration
	why   string
}

// sender sends messages to push services.
type sender struct {
	client *http.Client
	signer *signer
	now    func() time.Time
}

func newSender(s *signer, allowed networks, roots *x509.CertPool, now func() time.Time) *sender {
	dialer := &net.Dialer{Timeout: sendTimeout / 2, Control: allowed.control}
	return &sender{signer: s, now: now, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // it would dial for us, wherever to
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    sendTimeout / 2,
			MaxIdleConns:           32,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       sendTimeout,
	}}
}

// close ends idle connections.
func (s *sender) close() { s.client.CloseIdleConnections() }

// send sends an empty message. It retries nothing.
func (s *sender) send(ctx context.Context, r registration) outcome {
	body, err := emptyMessage(r)
	if err != nil {
		return outcome{refused, 0, "the message could not be encrypted"}
	}
	authorization, err := s.signer.authorization(r.origin(), s.now())
	if err != nil {
		return outcome{refused, 0, "the token could not be signed"}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return outcome{refused, 0, "the endpoint is not a URL"}
	}
	req.Header = http.Header{
		"Authorization":    {authorization},
		"Content-Encoding": {"aes128gcm"},
		"Content-Type":     {"application/octet-stream"},
		"Ttl":              {strconv.Itoa(int(timeToLive / time.Second))},
		"Urgency":          {"normal"}, // "chat or calendar message" (RFC 8030 §5.3)
		"Topic":            {"qpc"},    // a later one takes the place of one that waits
		"User-Agent":       {"qpc"},
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return s.judge(resp)
}

// failed is the outcome of a request without an answer. The error itself names
// the endpoint, and is not passed on.
func failed(err error) outcome {
	switch timeout, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, errForbidden):
		return outcome{refused, 0, "the endpoint is not at a public address"}
	case ok && timeout.Timeout():
		return outcome{tryAgain, 0, "the push service did not answer in time"}
	default:
		return outcome{tryAgain, 0, "the push service could not be reached"}
	}
}

func (s *sender) judge(resp *http.Response) outcome {
	why := "status " + strconv.Itoa(resp.StatusCode)
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return outcome{delivered, 0, why}
	case code == http.StatusNotFound, code == http.StatusGone:
		return outcome{gone, 0, why}
	case code == http.StatusTooManyRequests, code >= 500:
		return outcome{tryAgain, s.retryAfter(resp.Header.Get("Retry-After")), why}
	default:
		return outcome{refused, 0, why}
	}
}

// retryAfter reads the header, which is in seconds or a date; 0 where there is
// none.
func (s *sender) retryAfter(text string) time.Duration {
	var after time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		after = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(text); err == nil {
		after = date.Sub(s.now())
	}
	return min(max(after, 0), longestRetryAfter)
}
