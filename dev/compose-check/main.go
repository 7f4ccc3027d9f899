// Command compose-check reads a Compose file as Docker Compose does and prints the project that came out as JSON.
//
//	compose-check FILE [ENV-FILE…]
//
// The Compose project's own loader checks the file against the schema of the specification, puts the variables of
// ENV-FILE (or of the .env beside FILE, but none of this process) in their places, and checks that services and
// volumes fit together.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: compose-check FILE [ENV-FILE…]")
		os.Exit(2)
	}
	project, err := load(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Printf("%s\n", project)
}

func load(file string, envFiles []string) ([]byte, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnvFiles(envFiles...), cli.WithDotEnv)
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalJSON()
}
