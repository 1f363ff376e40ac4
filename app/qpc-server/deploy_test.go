package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"quicprochat/server/config"
)

// The containers cannot be built here. These tests hold what they run, and what
// they are told, against the program.

const deployFolder = "../../assets/deploy/"

// parses fails where the program does not know a command line.
func parses(t *testing.T, args []string) {
	t.Helper()
	exited := false
	_, err := newParser(&console{out: io.Discard, err: io.Discard}, func(int) { exited = true }).Parse(args)
	if err != nil || exited {
		t.Errorf("qpc-server %q: %v", args, err)
	}
}

func TestParsesRefuses(t *testing.T) {
	_, err := newParser(&console{out: io.Discard, err: io.Discard}, func(int) {}).Parse([]string{"serve", "--fly"})
	if err == nil {
		t.Error("took a flag that there is none of")
	}
}

// environment fails where a variable means nothing, or a value is wrong.
func environment(t *testing.T, environ map[string]string) {
	t.Helper()
	var pairs []string
	for name, value := range environ {
		if !strings.HasPrefix(name, "QPC_") {
			if !strings.HasPrefix(name, "AWS_") {
				t.Errorf("%s: whose variable is this?", name)
			}
			continue
		}
		key := strings.ToLower(strings.TrimPrefix(name, "QPC_"))
		known := slices.ContainsFunc(config.Keys(), func(path string) bool { return strings.ReplaceAll(path, ".", "_") == key })
		if !known && name != "QPC_CONFIG" {
			t.Errorf("%s is no setting", name)
		}
		pairs = append(pairs, name+"="+value)
	}
	cfg := config.Default()
	cfg.DataDir = "/var/lib/qpc"
	must(t, cfg.ApplyEnv(pairs))
	must(t, cfg.Validate())
}

// dockerfile gives the instructions of the last stage, with what they say.
func dockerfile(t *testing.T) (all string, last map[string][]string) {
	t.Helper()
	raw, err := os.ReadFile(deployFolder + "Dockerfile")
	must(t, err)
	for line := range strings.Lines(string(raw)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "FROM":
			last = make(map[string][]string)
		case "", "#":
			continue
		}
		last[word] = append(last[word], rest)
	}
	return string(raw), last
}

func list(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return words
}

func TestDockerfile(t *testing.T) {
	text, last := dockerfile(t)
	program := list(t, last["ENTRYPOINT"][0])
	if len(program) != 1 || !strings.Contains(last["COPY"][0], "/qpc-server "+program[0]) {
		t.Errorf("runs %q, which is not what was copied", program)
	}
	parses(t, list(t, last["CMD"][0]))
	_, health, ok := strings.Cut(last["HEALTHCHECK"][0], "CMD ")
	if words := list(t, health); !ok || words[0] != program[0] {
		t.Errorf("health check runs %q", words)
	} else {
		parses(t, words[1:])
	}
	environ := make(map[string]string)
	for _, pair := range last["ENV"] {
		name, value, _ := strings.Cut(pair, "=")
		environ[name] = value
	}
	environment(t, environ)
	if environ["QPC_DATA_DIR"] != last["VOLUME"][0] || filepath.Dir(environ["QPC_CONFIG"]) != last["VOLUME"][0] {
		t.Errorf("keeps data in %q, the volume is %q", environ["QPC_DATA_DIR"], last["VOLUME"])
	}
	if last["USER"][0] == "root" {
		t.Error("runs as root")
	}
	if port := config.Default().Listen + "/udp"; ":"+last["EXPOSE"][0] != port {
		t.Errorf("exposes %q, listens on %q", last["EXPOSE"], port)
	}
	built := regexp.MustCompile(`go build .* (\./app/\S+)`).FindStringSubmatch(text)
	if info, err := os.Stat("../../" + built[1]); err != nil || !info.IsDir() {
		t.Errorf("builds %s: %v", built[1], err)
	}
	mod, err := os.ReadFile("../../go.mod")
	must(t, err)
	if version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mod))[1]; !strings.Contains(text, "FROM golang:"+version+" ") {
		t.Errorf("does not build with Go %s", version)
	}
	for _, found := range regexp.MustCompile(`(?m)^#   docker run .* qpc-server(?: (.+))?$`).FindAllStringSubmatch(text, -1) {
		if found[1] != "" {
			parses(t, strings.Fields(found[1]))
		}
	}
}

// composition is what is looked at in compose.yaml.
type composition struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Volumes     []string
		Ports       []string
		Build       struct{ Context, Dockerfile string }
		DependsOn   map[string]any `yaml:"depends_on"`
	}
	Volumes map[string]any
}

func TestCompose(t *testing.T) {
	raw, err := os.ReadFile(deployFolder + "compose.yaml")
	must(t, err)
	var c composition
	must(t, yaml.Unmarshal(raw, &c))
	_, last := dockerfile(t)
	servers := 0
	for name, s := range c.Services {
		for needed := range s.DependsOn {
			if _, ok := c.Services[needed]; !ok {
				t.Errorf("%s needs %s, which is no service", name, needed)
			}
		}
		for _, volume := range s.Volumes {
			if source, _, _ := strings.Cut(volume, ":"); !slices.Contains(keysOf(c.Volumes), source) {
				t.Errorf("%s: %s is no volume", name, source)
			}
		}
		if s.Image != "qpc-server" {
			continue
		}
		if _, err := os.Stat(filepath.Join(deployFolder, s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		parses(t, s.Command)
		environment(t, substituted(s.Environment))
		if !slices.Equal(s.Volumes, []string{"keys:" + last["VOLUME"][0]}) {
			t.Errorf("%s: volumes %q", name, s.Volumes)
		}
		if s.Command[0] == "serve" {
			servers++
			if len(s.Ports) != 1 || !strings.HasSuffix(s.Ports[0], ":"+last["EXPOSE"][0]) {
				t.Errorf("%s: ports %q", name, s.Ports)
			}
		}
	}
	if servers < 2 {
		t.Errorf("%d servers are not scaled out", servers)
	}
	for _, found := range regexp.MustCompile(`(?m)^#   (?:docker compose run .* setup|qpc-server) (.+)$`).FindAllStringSubmatch(string(raw), -1) {
		parses(t, strings.Fields(found[1]))
	}
}

func keysOf(m map[string]any) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// substituted puts in what the person who starts it sets.
func substituted(environ map[string]string) map[string]string {
	variable := regexp.MustCompile(`\$\{[A-Z_]+(:\?[^}]*)?\}`)
	all := make(map[string]string)
	for name, value := range environ {
		all[name] = variable.ReplaceAllString(value, "something")
	}
	return all
}
