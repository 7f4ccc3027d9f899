#!/bin/sh
echo "100 euros"
