package push

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// However an endpoint is written, its push service is the same, and gets what is
// signed for it.
func TestOrigin(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://push.example.org/x":            "https://push.example.org",
		"https://push.example.org:443/x?y=z":    "https://push.example.org",
		"https://PUSH.Example.org./x":           "https://push.example.org",
		"HTTPS://push.example.org":              "https://push.example.org",
		"https://push.example.org:8443/x":       "https://push.example.org:8443",
		"https://[2606:4700::1111]:443/x":       "https://[2606:4700::1111]",
		"https://[2606:4700::1111]:444/x":       "https://[2606:4700::1111]:444",
		"http://127.0.0.1:80/x":                 "http://127.0.0.1",
		"https://push.example.org:80/xn--caf/x": "https://push.example.org:80",
	} {
		u, err := url.Parse(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if got := (registration{endpoint: u}).origin(); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}

// Without leave, nothing that is not public is dialled, by whatever name.
func TestPrivateAddressesAreNotDialled(t *testing.T) {
	h := newHouse(t, nil)
	r, err := parseRegistration(h.r.request("/"), loopback)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.sender.send(t.Context(), r); got.verdict != refused || !strings.Contains(got.why, "public") {
		t.Errorf("got %+v", got)
	}
	r.endpoint.Host = strings.Replace(r.endpoint.Host, "127.0.0.1", "localhost", 1)
	if got := h.sender.send(t.Context(), r); got.verdict != refused || !strings.Contains(got.why, "public") {
		t.Errorf("by name: got %+v", got)
	}
	h.want(0)
}

func TestNetworks(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "100.63.255.255": true, "172.32.0.1": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fd00::1": false, "fc00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false,
		"2001:0:1::": false, "192.0.2.1": false, "198.18.0.1": false, "fec0::1": false, "fe80::1%eth0": false,
	} {
		if got := networks(nil).may(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if !networks(loopback).may(netip.MustParseAddr("::ffff:127.0.0.1")) || networks(loopback).may(netip.MustParseAddr("::1")) {
		t.Error("leave is for what it names")
	}
}

func TestRegistrations(t *testing.T) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := func() *qpcv1.RegisterPushRequest {
		return &qpcv1.RegisterPushRequest{Endpoint: "https://push.example.org/x?y=z", P256Dh: key.PublicKey().Bytes(), Auth: make([]byte, 16)}
	}
	for name, tc := range map[string]struct {
		change  func(*qpcv1.RegisterPushRequest)
		allowed networks
		want    bool
	}{
		"good":           {func(*qpcv1.RegisterPushRequest) {}, nil, true},
		"a port":         {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://push.example.org:8443/" }, nil, true},
		"http":           {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "http://push.example.org/" }, loopback, false},
		"http, loopback": {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "http://127.0.0.1:99/" }, loopback, true},
		"http, no leave": {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "http://127.0.0.1:99/" }, nil, false},
		"http, by name":  {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "http://localhost:99/" }, loopback, false},
		"private":        {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://192.168.1.1/" }, nil, false},
		"metadata":       {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://169.254.169.254/latest" }, nil, false},
		"IPv6":           {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://[::1]/" }, nil, false},
		"another scheme": {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "ftp://push.example.org/" }, nil, false},
		"file":           {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "file:///etc/passwd" }, nil, false},
		"no host":        {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https:///x" }, nil, false},
		"credentials":    {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://a:b@push.example.org/" }, nil, false},
		"fragment":       {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://push.example.org/#x" }, nil, false},
		"long": {func(r *qpcv1.RegisterPushRequest) {
			r.Endpoint = "https://push.example.org/" + strings.Repeat("x", 1000)
		}, nil, false},
		"empty":             {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "" }, nil, false},
		"control character": {func(r *qpcv1.RegisterPushRequest) { r.Endpoint = "https://push.example.org/\r\nX: y" }, nil, false},
		"short key":         {func(r *qpcv1.RegisterPushRequest) { r.P256Dh = r.P256Dh[:64] }, nil, false},
		"no point":          {func(r *qpcv1.RegisterPushRequest) { r.P256Dh = append([]byte{4}, make([]byte, 64)...) }, nil, false},
		"long secret":       {func(r *qpcv1.RegisterPushRequest) { r.Auth = make([]byte, 17) }, nil, false},
	} {
		req := good()
		tc.change(req)
		if _, err := parseRegistration(req, tc.allowed); (err == nil) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is stored tells nothing, not even by its length, and opens in its place
// only.
func TestSealedRegistration(t *testing.T) {
	v, err := newVault([32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	req := &qpcv1.RegisterPushRequest{Endpoint: "https://push.example.org/secret", P256Dh: make([]byte, 65), Auth: make([]byte, 16)}
	sealed, err := v.seal(storage.QueueID{1}, req)
	if err != nil {
		t.Fatal(err)
	}
	req.Endpoint = "https://push.example.org/" + strings.Repeat("x", 999)
	longest, err := v.seal(storage.QueueID{1}, req)
	if err != nil || len(longest) != len(sealed) || len(req.Endpoint) != maxEndpoint {
		t.Errorf("%d and %d bytes, %v", len(sealed), len(longest), err)
	}
	if bytes.Contains(sealed, []byte("push.example")) {
		t.Error("the endpoint shows")
	}
	if got, err := v.open(storage.QueueID{1}, sealed); err != nil || got.Endpoint != "https://push.example.org/secret" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := v.open(storage.QueueID{2}, sealed); err == nil {
		t.Error("it opens in another place")
	}
	other, err := newVault([32]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range [][]byte{nil, sealed[:10], sealed[:len(sealed)-1], append(bytes.Clone(sealed), 0)} {
		if _, err := v.open(storage.QueueID{1}, broken); err == nil {
			t.Error("something broken opens")
		}
	}
	if _, err := other.open(storage.QueueID{1}, sealed); err == nil {
		t.Error("it opens with another key")
	}
}

// The key at push services is the same after every start, and of this server.
func TestPushKey(t *testing.T) {
	one, err := newSigner([32]byte{1}, "")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := newSigner([32]byte{1}, "")
	other, _ := newSigner([32]byte{2}, "")
	if !bytes.Equal(one.public, again.public) || bytes.Equal(one.public, other.public) || len(one.public) != publicKeySize {
		t.Error("keys do not go with the storage key")
	}
	header, err := one.authorization("https://push.example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	payload := strings.Split(header, ".")[1]
	if claims := string(unbase64(t, payload)); strings.Contains(claims, "sub") {
		t.Errorf("claims without a contact: %s", claims)
	}
}
