package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnnotatedFileGivesTheSameConfig(t *testing.T) {
	want := Default()
	want.DataDir = "/srv/a \"b\" \\ c"
	want.Names = []string{"a.example", "192.0.2.1"}
	want.Limits.QueueTTL = 90 * time.Minute
	want.Store.URL = "postgres://qpc:p%40ss@db/qpc?sslmode=verify-full"
	var text bytes.Buffer
	if err := want.Write(&text); err != nil {
		t.Fatal(err)
	}
	got, err := Load(write(t, text.String()), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAnnotatedFileHasEveryKey(t *testing.T) {
	c := Default()
	var text bytes.Buffer
	if err := c.Write(&text); err != nil {
		t.Fatal(err)
	}
	meta, err := toml.Decode(text.String(), &Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range Keys() {
		if !meta.IsDefined(strings.Split(path, ".")...) {
			t.Errorf("%s is not in the file", path)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"unknown key":          {"data_dir = \"/d\"\n\nlisen = \":1\"\n", `line 3: there is no setting named "lisen"`},
		"unknown key in table": {"data_dir = \"/d\"\n[rates.post]\nburst = 5\nbrust = 5\n", `line 4: there is no setting named "rates.post.brust"`},
		"unknown table":        {"data_dir = \"/d\"\n[tsl]\n", `line 2: there is no setting named "tsl"`},
		"syntax":               {"data_dir = /d\n", "line 1:"},
		"type":                 {"data_dir = 7\n", "data_dir"},
		"no data dir":          {"", "data_dir is not set"},
		"bad listen":           {"data_dir = \"/d\"\nlisten = \"4433\"\n", "the port is missing"},
		"bad port":             {"data_dir = \"/d\"\nlisten = \":70000\"\n", "0 to 65535"},
		"bad host":             {"data_dir = \"/d\"\npublic_host = \"https://x\"\n", "leave out the port and the scheme"},
		"bad mode":             {"data_dir = \"/d\"\nregistration = \"maybe\"\n", "none of open, invite and closed"},
		"bad format":           {"data_dir = \"/d\"\n[log]\nformat = \"xml\"\n", "neither text nor json"},
		"bad limit":            {"data_dir = \"/d\"\n[limits]\nqueue_items = 0\n", "limits.queue_items = 0 is too small"},
		"bad ttl":              {"data_dir = \"/d\"\n[limits]\nqueue_ttl = \"1m\"\n", "limits.queue_ttl"},
		"bad store":            {"data_dir = \"/d\"\n[store]\nurl = \"mysql://qpc@db/qpc\"\n", "store.url: the store's URL is not one such as postgres://"},
		"bad bus":              {"data_dir = \"/d\"\n[store]\nurl = \"postgres://db/qpc\"\n[bus]\nurl = \"nats.lan:4222\"\n", "bus.url: not a list of URLs such as nats://"},
		"bad second bus":       {"data_dir = \"/d\"\n[store]\nurl = \"postgres://db/qpc\"\n[bus]\nurl = \"nats://a:4222,http://b\"\n", "bus.url: not a list"},
		"bus without store":    {"data_dir = \"/d\"\n[bus]\nurl = \"nats://a:4222\"\n", "store.url is not"},
		"bad blob url":         {"data_dir = \"/d\"\nblob_url = \"/srv/blobs\"\n", "blob_url"},
		"bad blob size":        {"data_dir = \"/d\"\n[limits]\nblob_size = 100\n", "limits.blob_size = 100 is too small"},
		"huge blob size":       {"data_dir = \"/d\"\n[limits]\nblob_size = 17179869185\n", "limits.blob_size = 17179869185 is too large"},
		"bad blob ttl":         {"data_dir = \"/d\"\n[limits]\nblob_ttl = \"1s\"\n", "limits.blob_ttl"},
		"bad rendezvous":       {"data_dir = \"/d\"\nrendezvous = [\"https://x\"]\n", "rendezvous: not a valid qpc:// link"},
		"many rendezvous":      {"data_dir = \"/d\"\nrendezvous = [" + strings.Repeat("\"qpc://a\",", 9) + "]\n", "use at most 8"},
		"bad contact":          {"data_dir = \"/d\"\n[push]\ncontact = \"me\"\n", "push.contact"},
		"bad network":          {"data_dir = \"/d\"\n[push]\nprivate_networks = [\"10.0.0.1\"]\n", "push.private_networks"},
		"bad rate":             {"data_dir = \"/d\"\n[rates.auth]\nburst = 0\n", "rates.auth"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, tc.text), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// The password of the database shows nowhere: not in errors, nor where the
// configuration is printed or logged.
func TestStorePasswordIsHidden(t *testing.T) {
	const secret = "s3cr3t"
	for _, url := range []string{"postgres://qpc:s3cr3t@db/qpc", "postgres://qpc:%zzs3cr3t@db/qpc", "postgres://qpc:1/s3cr3t@db/qpc", "s3cr3t"} {
		c, err := Load("", []string{"QPC_DATA_DIR=/d", "QPC_STORE_URL=" + url})
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "store", c.Store, "url", c.Store.URL)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "store", c.Store, "url", c.Store.URL)
		for _, text := range []string{fmt.Sprintf("%v %+v %#v %v", c, c, c, err), log.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("the password shows: %s", text)
			}
		}
		if url == "postgres://qpc:s3cr3t@db/qpc" && (err != nil || c.Store.URL.Reveal() != url) {
			t.Errorf("got %v, %v", c.Store.URL, err)
		}
	}
	for _, text := range []string{
		"data_dir = \"/d\"\n[store]\nurl = postgres://qpc:s3cr3t@db/qpc\n",
		"data_dir = \"/d\"\n[store]\nurl = \"postgres://qpc:s3cr3t@db/qpc\n",
		"data_dir = \"/d\"\n[store]\nurl = [\"postgres://qpc:s3cr3t@db/qpc\"]\n",
		"data_dir = \"/d\"\n[store]\nurl = \"postgres://qpc:\\s3cr3t@db/qpc\"\n",
	} {
		if _, err := Load(write(t, text), nil); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v", err)
		}
	}
}

// As does that of the bus.
func TestBusPasswordIsHidden(t *testing.T) {
	const secret = "s3cr3t"
	for _, url := range []string{"nats://qpc:s3cr3t@a:4222,tls://s3cr3t@b:4222", "nats://qpc:%zzs3cr3t@a", "nats://a/s3cr3t", "nats://a?token=s3cr3t", "s3cr3t"} {
		c, err := Load("", []string{"QPC_DATA_DIR=/d", "QPC_STORE_URL=postgres://db/qpc", "QPC_BUS_URL=" + url})
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "bus", c.Bus, "url", c.Bus.URL)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "bus", c.Bus, "url", c.Bus.URL)
		for _, text := range []string{fmt.Sprintf("%v %+v %#v %v", c, c, c, err), log.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("the password shows: %s", text)
			}
		}
		if strings.Contains(url, "@b") && (err != nil || c.Bus.URL.Reveal() != url || c.Bus.URL.String() != "nats://a:4222,tls://b:4222") {
			t.Errorf("got %v, %v", c.Bus.URL, err)
		}
	}
}

func TestLoadMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml"), nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestRelativeDataDirIsBesideTheFile(t *testing.T) {
	path := write(t, `data_dir = "data"`)
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(path), "data"); c.DataDir != want {
		t.Errorf("got %s, want %s", c.DataDir, want)
	}
}

func TestEnvironmentWins(t *testing.T) {
	c, err := Load(write(t, "data_dir = \"/file\"\n[rates.post]\nburst = 5\n"), []string{
		"QPC_DATA_DIR=/env", "QPC_RATES_POST_BURST=7", "QPC_LIMITS_QUEUE_TTL=48h", "QPC_NAMES=a.example, b.example",
		"QPC_LOG_LEVEL=warn", "QPC_REGISTRATION=open", "QPC_LIMITS_QUEUE_BYTES=99999999", "QPC_PUSH_ENABLED=false", "QPC_PROFILE=other", "HOME=/h",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/env" || c.Rates.Post.Burst != 7 || c.Limits.QueueTTL != 48*time.Hour || c.Registration != RegistrationOpen ||
		!slices.Equal(c.Names, []string{"a.example", "b.example"}) || c.Log.Level.String() != "WARN" || c.Limits.QueueBytes != 99999999 || c.Push.Enabled {
		t.Errorf("got %+v", c)
	}
}

func TestEnvironmentErrorsNameTheVariable(t *testing.T) {
	for _, pair := range []string{"QPC_PUBLIC_PORT=x", "QPC_LIMITS_QUEUE_TTL=soon", "QPC_LOG_LEVEL=loud", "QPC_PUSH_ENABLED=perhaps"} {
		_, err := Load("", []string{"QPC_DATA_DIR=/d", pair})
		name, _, _ := strings.Cut(pair, "=")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", pair, err)
		}
	}
}

func TestLinkHostAndPort(t *testing.T) {
	for _, tc := range []struct {
		c    Config
		host string
		port int
	}{
		{Config{Listen: "127.0.0.1:99"}, "127.0.0.1", 99},
		{Config{Listen: "box.lan:99"}, "box.lan", 99},
		{Config{Listen: ":99", PublicHost: "chat.example"}, "chat.example", 99},
		{Config{Listen: ":99", PublicHost: "chat.example", PublicPort: 443}, "chat.example", 443},
		{Config{Listen: "[::]:99"}, GuessHost(), 99},
	} {
		if host, port := tc.c.LinkHost(), tc.c.LinkPort(); host != tc.host || port != tc.port {
			t.Errorf("%+v: got %s %d", tc.c, host, port)
		}
	}
}
