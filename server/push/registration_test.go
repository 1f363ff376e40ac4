package push

import (
	"net/url"
	"testing"
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
