package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// DefaultPort is the UDP port of a link that names none.
const DefaultPort = 4433

const (
	maxLink  = 2048 // characters
	maxHost  = 253  // characters
	maxToken = 256  // bytes
)

// ErrLink is wrapped by every error of ParseLink.
var ErrLink = errors.New("not a valid qpc:// link")

// Link is an invite link: where a server is, who it is, and what it asks of a
// newcomer. In text it is qpc://host:port/?pin=…&token=…, both in base64url
// without padding.
type Link struct {
	Host  string // DNS name or IP address, lower case, without brackets
	Port  int
	Pin   []byte // SHA-256 of the server's SubjectPublicKeyInfo, or nil for a publicly trusted certificate
	Token []byte // registration token, or nil
}

// ParseLink reads a link as a person pastes it. The errors wrap ErrLink.
// Parameters that it does not know are ignored.
func ParseLink(s string) (Link, error) {
	s = strings.TrimSpace(s)
	if len(s) > maxLink {
		return Link{}, fmt.Errorf("%w: longer than %d characters", ErrLink, maxLink)
	}
	u, err := url.Parse(s)
	if err != nil {
		// The url package repeats its input, which may hold a token.
		return Link{}, fmt.Errorf("%w: not a URL", ErrLink)
	}
	switch {
	case u.Scheme != "qpc":
		return Link{}, fmt.Errorf("%w: it must begin with qpc://", ErrLink)
	case u.User != nil || u.Fragment != "" || u.Opaque != "" || (u.Path != "" && u.Path != "/"):
		return Link{}, fmt.Errorf("%w: only a host, a port and parameters may follow qpc://", ErrLink)
	}
	var l Link
	if l.Host, err = canonicalHost(u.Hostname()); err != nil {
		return Link{}, err
	}
	if l.Port, err = parsePort(u); err != nil {
		return Link{}, err
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Link{}, fmt.Errorf("%w: malformed parameters", ErrLink)
	}
	if l.Pin, err = linkParameter(q, "pin", 32, 32); err != nil {
		return Link{}, err
	}
	if l.Token, err = linkParameter(q, "token", 1, maxToken); err != nil {
		return Link{}, err
	}
	return l, nil
}

func parsePort(u *url.URL) (int, error) {
	if u.Port() == "" {
		if strings.HasSuffix(u.Host, ":") {
			return 0, fmt.Errorf("%w: the port is missing after the colon", ErrLink)
		}
		return DefaultPort, nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%w: the port is not in 1 to 65535", ErrLink)
	}
	return int(port), nil
}

// canonicalHost accepts an IP address without a zone, or an ASCII DNS name.
func canonicalHost(host string) (string, error) {
	if strings.ContainsRune(host, ':') {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" {
			return "", fmt.Errorf("%w: malformed IPv6 address", ErrLink)
		}
		return a.String(), nil
	}
	host = strings.ToLower(host)
	if host == "" || len(host) > maxHost {
		return "", fmt.Errorf("%w: no host, or one that is too long", ErrLink)
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return "", fmt.Errorf("%w: malformed host name", ErrLink)
		}
	}
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return "", fmt.Errorf("%w: a host name has only letters, digits, dots and dashes", ErrLink)
		}
	}
	return host, nil
}

func linkParameter(q url.Values, name string, least, most int) ([]byte, error) {
	v, present := q[name]
	if !present {
		return nil, nil
	}
	if len(v) > 1 {
		return nil, fmt.Errorf("%w: %s is given twice", ErrLink, name)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(v[0])
	// The decoder skips line breaks, which would give one link many spellings.
	if err != nil || strings.ContainsAny(v[0], "\r\n") {
		return nil, fmt.Errorf("%w: %s is not base64url", ErrLink, name)
	}
	if len(b) < least || len(b) > most {
		return nil, fmt.Errorf("%w: %s has the wrong length", ErrLink, name)
	}
	return b, nil
}

// String gives the link's text, token included.
func (l Link) String() string {
	var b strings.Builder
	b.WriteString("qpc://" + l.Addr() + "/")
	sep := "?"
	if l.Pin != nil {
		b.WriteString(sep + "pin=" + base64.RawURLEncoding.EncodeToString(l.Pin))
		sep = "&"
	}
	if l.Token != nil {
		b.WriteString(sep + "token=" + base64.RawURLEncoding.EncodeToString(l.Token))
	}
	return b.String()
}

// Addr gives host:port, with brackets around an IPv6 address.
func (l Link) Addr() string {
	return net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
}

// LogValue keeps hosts and tokens out of logs.
func (l Link) LogValue() slog.Value { return slog.StringValue("qpc link") }
