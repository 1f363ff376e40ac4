package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOpsListensForItself(t *testing.T) {
	for listen, fine := range map[string]bool{
		"": true, DefaultOpsListen: true, "[::1]:9433": true, "localhost:1": true, "127.9.9.9:0": true,
		":9433": false, "0.0.0.0:9433": false, "[::]:9433": false, "192.0.2.1:9433": false, "10.0.0.1:9433": false,
		"example.org:9433": false, "127.0.0.1": false, "127.0.0.1:x": false,
	} {
		c := Default()
		c.DataDir, c.Ops.Listen = "/d", listen
		if err := c.Validate(); (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "ops.listen") {
			t.Errorf("%q: %v", listen, err)
		}
	}
	c := Default()
	c.DataDir, c.Ops = "/d", Ops{Listen: ":9433", Expose: ExposeNetwork}
	if err := c.Validate(); err != nil {
		t.Errorf("exposed with the word: %v", err)
	}
	c.Ops.Expose = "yes"
	if err := c.Validate(); err == nil {
		t.Error("another word was taken")
	}
}

func TestTLSFilesBelongTogether(t *testing.T) {
	c := Default()
	c.DataDir, c.TLS.Certificate = "/d", "/c.pem"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "tls.key") {
		t.Errorf("got %v", err)
	}
	c.TLS.Key = "/k.pem"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestChanged(t *testing.T) {
	a := Default()
	b := Default()
	if got := Changed(a, b); len(got) != 0 {
		t.Errorf("between equals: %v", got)
	}
	b.Rates.Post.Burst++
	b.Names = []string{"x"}
	b.Limits.BlobTTL = time.Hour
	b.Store.URL = "postgres://u:secret@h/d"
	if got, want := Changed(a, b), []string{"names", "store.url", "limits.blob_ttl", "rates.post.burst"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
