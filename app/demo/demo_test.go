package main

import (
	"errors"
	"image"
	"image/png"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestDemo plays the demo with the real programs, in real windows: on the
// display there is, or on an Xvfb of its own.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("the demo opens windows; not with -short")
	}
	if runtime.GOOS != "linux" && os.Getenv("CI") != "" {
		t.Skip("no display to be had here")
	}
	bin := os.Getenv("QPC_BIN")
	if bin == "" {
		bin = buildPrograms(t)
	}
	out := t.TempDir()
	if err := run(t.Context(), bin, out, false); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(out, "*.png"))
	if err != nil || len(files) != 4 {
		t.Fatalf("screenshots: %v, %v", files, err)
	}
	for _, file := range files {
		checkPicture(t, file)
	}
}

func buildPrograms(t testing.TB) string {
	t.Helper()
	bin := t.TempDir()
	for _, program := range []string{"quicprochat", "qpc", "qpc-server"} {
		cmd := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./"+program)
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", program, err, out)
		}
	}
	return bin
}

// checkPicture fails where a screenshot is not a picture of a drawn window: a
// blank one has next to no colours.
func checkPicture(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s was not made", file)
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if n := colours(picture); n < 50 {
		t.Errorf("%s has only %d colours: nothing was drawn", file, n)
	}
}

func colours(picture image.Image) int {
	seen := make(map[[3]uint32]bool)
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y += 2 {
		for x := bounds.Min.X; x < bounds.Max.X; x += 2 {
			r, g, b, _ := picture.At(x, y).RGBA()
			seen[[3]uint32{r, g, b}] = true
		}
	}
	return len(seen)
}
